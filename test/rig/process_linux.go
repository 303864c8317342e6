package rig

import "syscall"

// attributes makes a process the leader of a group of its own, so that a Ctrl-C
// in the terminal reaches only us, and has the kernel kill it when we die.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
