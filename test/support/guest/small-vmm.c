/*
 * A VMM for tests. Its guest writes to a port without end, and each KVM_RUN returns for one such write. So the number
 * of KVM_RUN calls is the number of exits to userspace.
 *
 * The process's first thread only waits. A second one creates the VM, as in cloud-hypervisor and Dragonball, and KVM
 * names the VM's folder in debugfs after that thread. A third one runs the vCPU.
 *
 * The arguments have to look like those of another VMM, so settings are environment variables:
 *
 *   VMM_EXITS       KVM_RUN calls of each vCPU thread (default 10,000)
 *   VMM_THREADS     threads that run the vCPU, one after the other (default 1)
 *   VMM_COMM        name of those threads (default: they keep the program's name)
 *   VMM_COMM_AFTER  KVM_RUN calls of such a thread before it takes that name (default 0)
 *   VMM_START_US    pause before the VM is created
 *   VMM_END_US      pause of each vCPU thread after its last KVM_RUN
 *   VMM_STAY_US     pause of the process after the end of the last vCPU thread
 *   VMM_PORT        the port, up to 255 (default 128, which is 0x80)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define GUEST_BYTES 0x4000
#define CODE_ADDRESS 0x2000

static const uint8_t guest_code[] = {0xe6, 0x80, 0xeb, 0xfc}; /* again: out 0x80, al; jmp again */

static int vm, vcpu;

static long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text == NULL ? otherwise : atol(text);
}

static void require(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void pause_for(const char *name) {
  long us = setting(name, 0);
  if (us > 0) usleep(us);
}

static void create_vm(void) {
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  require(kvm >= 0, "/dev/kvm");
  vm = ioctl(kvm, KVM_CREATE_VM, 0);
  require(vm >= 0, "KVM_CREATE_VM");
  uint8_t *memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "mmap");
  memcpy(memory + CODE_ADDRESS, guest_code, sizeof guest_code);
  memory[CODE_ADDRESS + 1] = setting("VMM_PORT", 0x80);
  struct kvm_userspace_memory_region region = {.memory_size = GUEST_BYTES, .userspace_addr = (uintptr_t)memory};
  require(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0, "KVM_SET_USER_MEMORY_REGION");

  vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
  require(vcpu >= 0, "KVM_CREATE_VCPU");
  int run_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  require(mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0) != MAP_FAILED, "mmap of the vCPU");
  struct kvm_sregs sregs;
  require(ioctl(vcpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  require(ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0, "KVM_SET_SREGS");
  struct kvm_regs regs = {.rip = CODE_ADDRESS, .rflags = 2};
  require(ioctl(vcpu, KVM_SET_REGS, &regs) == 0, "KVM_SET_REGS");
}

static void *run_vcpu(void *unused) {
  long exits = setting("VMM_EXITS", 10000), unnamed = setting("VMM_COMM_AFTER", 0);
  for (long left = exits; left > 0;) {
    if (getenv("VMM_COMM") && left == exits - unnamed) prctl(PR_SET_NAME, getenv("VMM_COMM"));
    if (ioctl(vcpu, KVM_RUN, 0) == 0)
      left--;
    else
      require(errno == EINTR, "KVM_RUN");
  }
  pause_for("VMM_END_US");
  return unused;
}

static void run_thread(void *(*work)(void *)) {
  pthread_t thread;
  require(pthread_create(&thread, NULL, work, NULL) == 0, "pthread_create");
  pthread_join(thread, NULL);
}

static void *manage_vm(void *unused) {
  create_vm();
  for (long left = setting("VMM_THREADS", 1); left > 0; left--) run_thread(run_vcpu);
  pause_for("VMM_STAY_US");
  return unused;
}

int main(void) {
  pause_for("VMM_START_US");
  run_thread(manage_vm);
  return 0;
}
