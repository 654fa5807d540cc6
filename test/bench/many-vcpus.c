// Starts processes that look like QEMU's, each with an empty VM and sleeping threads that look like vCPUs:
// `many-vcpus VMS VCPUS`. Prints "ready" once all run. They end with this process.
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void *sleep_for_good(void *name) {
  prctl(PR_SET_NAME, name);
  for (;;) pause();
}

static void run_vm(int vcpus) {
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (ioctl(kvm, KVM_CREATE_VM, 0) < 0) exit(1);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  for (int vcpu = 0; vcpu < vcpus; vcpu++) {
    char *name = malloc(16);
    pthread_t thread;
    snprintf(name, 16, "CPU %d/KVM", vcpu);
    if (pthread_create(&thread, &attributes, sleep_for_good, name) != 0) exit(1);
  }
  if (write(1, ".", 1) != 1) exit(1);
  for (;;) pause();
}

int main(int count, char **args) {
  if (strstr(args[0], "qemu-system") != NULL) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run_vm(atoi(args[count - 1]));
  }
  int vms = atoi(args[1]);
  int ends[2];
  if (pipe(ends) != 0) return 1;
  for (int vm = 0; vm < vms; vm++) {
    if (fork() != 0) continue;
    char name[64];
    snprintf(name, sizeof name, "guest=many-%d,debug-threads=on", vm);
    dup2(ends[1], 1);
    execl("/proc/self/exe", "qemu-system-x86_64", "-accel", "kvm", "-name", name, "-smp", args[2], NULL);
    _exit(1);
  }
  char byte;
  for (int vm = 0; vm < vms; vm++)
    if (read(ends[0], &byte, 1) != 1) return 1;
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
