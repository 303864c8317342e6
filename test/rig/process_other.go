//go:build unix && !linux

package rig

import "syscall"

// attributes makes a process the leader of a group of its own, so that a Ctrl-C
// in the terminal reaches only us. Outside Linux the kernel does not kill it
// when we are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
