// Lets ThreadSanitizer see the locking of Swift's Synchronization.Mutex on Linux.
//
// A free mutex is taken and given back by atomics that the compiler places, instrumented, at the call. A contended one
// goes through two functions of libswiftSynchronization, which is not instrumented: ThreadSanitizer misses that the
// kernel passed the mutex on, and reports what the mutex protects as a race. Loaded before that library, this one takes
// the place of the two functions, calls them, and tells ThreadSanitizer what they do. Real races stay visible.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

// Part of the sanitizer's runtime; absent from processes that run without it, such as swift test itself.
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

typedef SWIFT void lock_function(uint32_t thread, SELF void *mutex);
typedef SWIFT void unlock_function(SELF void *mutex);

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK_SLOW);
SWIFT void unlock_slow(SELF void *mutex) __asm__(UNLOCK_SLOW);

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) {
  ((lock_function *)dlsym(RTLD_NEXT, LOCK_SLOW))(thread, mutex);
  if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT void unlock_slow(SELF void *mutex) {
  if (__tsan_release) __tsan_release(mutex);
  ((unlock_function *)dlsym(RTLD_NEXT, UNLOCK_SLOW))(mutex);
}
