// Command emulator serves the GitHub emulator by itself, with one token and one
// repository, until it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "emulator:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := flag.String("addr", "127.0.0.1:3000", "address to listen on")
	dir := flag.String("dir", "", "directory for the repositories (empty: a temporary one)")
	token := flag.String("token", "", "personal access token of the user admin (required)")
	repository := flag.String("repository", "acme/podinfo", "repository to create, with a first commit on main")
	flag.Parse()
	if *token == "" {
		return fmt.Errorf("--token is required")
	}
	server, err := emulator.Start(emulator.Options{Addr: *addr, Dir: *dir})
	if err != nil {
		return err
	}
	server.AddToken(emulator.Token{Value: *token, Login: "admin"})
	repo, err := server.CreateRepository(*repository, emulator.RepositoryOptions{})
	if err != nil {
		return err
	}
	if _, err := repo.Commit("main", "Start", "admin", map[string]string{"README.md": "# " + *repository + "\n"}); err != nil {
		return err
	}
	fmt.Printf("REST API  %s\nclone     %s\n", server.APIURL(), repo.CloneURL())
	<-ctx.Done()
	return server.Close()
}
