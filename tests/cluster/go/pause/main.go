// Command pause is the process of the pause image: without arguments it holds a pod's
// namespaces until SIGTERM and reaps the orphans that are handed to it.
//
//	pause cpus            writes the CPUs it may run on to the termination message and ends
//	pause write FILE TEXT writes a file, for tests of volumes
//	pause dial HOST:PORT  connects by TCP, for tests of the network
//
// It needs nothing but the kernel: the image holds this one static binary.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const terminationMessage = "/dev/termination-log"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pause:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 0:
		hold()
		return nil
	case args[0] == "cpus" && len(args) == 1:
		cpus, err := allowedCPUs()
		if err != nil {
			return err
		}
		fmt.Println("CPUs allowed:", cpus)
		return os.WriteFile(terminationMessage, []byte(cpus), 0o644)
	case args[0] == "write" && len(args) == 3:
		return os.WriteFile(args[1], []byte(args[2]), 0o644)
	case args[0] == "dial" && len(args) == 2:
		connection, err := net.DialTimeout("tcp", args[1], 10*time.Second)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	return fmt.Errorf("usage: pause [cpus | write FILE TEXT | dial HOST:PORT], not %q", strings.Join(args, " "))
}

// hold waits for a signal to end and reaps children meanwhile.
func hold() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}

// allowedCPUs is the kernel's own list of the CPUs this process may run on, such as "1" or "0-3".
func allowedCPUs() (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(status)) {
		if cpus, found := strings.CutPrefix(line, "Cpus_allowed_list:"); found {
			return strings.TrimSpace(cpus), nil
		}
	}
	return "", fmt.Errorf("/proc/self/status has no line Cpus_allowed_list")
}
