/* context.c - the shells, and how a forked child is told from its parent. */
#include "api/context.h"

#include "base/error.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SHELLS = 64 };

static kolo_context shells[SHELLS];
static _Atomic uint32_t next_shell;
static _Atomic uint64_t incarnations = 1; /* 0: none */

/* One page that the kernel empties in a forked child: cheaper to ask than getpid(), and no fork handler is installed.
 */
static _Atomic(_Atomic uint64_t *) fork_page;
static pthread_once_t fork_page_once = PTHREAD_ONCE_INIT;

static void map_fork_page(void)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, bytes, MADV_WIPEONFORK) != 0) {
        munmap(page, bytes);
        return;
    }
    atomic_store_explicit(&fork_page, page, memory_order_release);
}

uint64_t kolo_process_number(void)
{
    _Atomic uint64_t *page = atomic_load_explicit(&fork_page, memory_order_acquire);
    if (page == NULL) {
        pthread_once(&fork_page_once, map_fork_page);
        page = atomic_load_explicit(&fork_page, memory_order_acquire);
    }
    if (page == NULL)
        return (uint64_t)getpid();
    uint64_t number = atomic_load_explicit(page, memory_order_relaxed);
    if (number == 0) {
        number = (uint64_t)getpid();
        atomic_store_explicit(page, number, memory_order_relaxed);
    }
    return number;
}

kolo_context *kolo_context_take(void)
{
    for (int i = 0; i < SHELLS; i++) {
        kolo_context *ctx = &shells[atomic_fetch_add(&next_shell, 1) % SHELLS];
        uint32_t expected = KOLO_CONTEXT_FREE;
        if (atomic_compare_exchange_strong(&ctx->state, &expected, KOLO_CONTEXT_STARTING)) {
            memset((char *)ctx + sizeof(ctx->state), 0, sizeof(*ctx) - sizeof(ctx->state));
            ctx->process = kolo_process_number();
            ctx->incarnation = atomic_fetch_add(&incarnations, 1);
            return ctx;
        }
    }
    return NULL;
}

kolo_status kolo_context_check(const kolo_context *ctx)
{
    if (ctx == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "the context is NULL; it comes from kolo_init");
    uintptr_t offset = (uintptr_t)ctx - (uintptr_t)shells;
    if (offset >= sizeof(shells) || offset % sizeof(shells[0]) != 0)
        return kolo_fail(KOLO_ERR_INVALID, "%p is no context; contexts come from kolo_init", (const void *)ctx);
    uint32_t state = atomic_load_explicit(&ctx->state, memory_order_acquire);
    if (state != KOLO_CONTEXT_LIVE)
        return kolo_fail(KOLO_ERR_STATE, "the context was finalized%s; call kolo_init for a new one",
                         state == KOLO_CONTEXT_LEAVING ? " (another thread is at it)" : "");
    if (ctx->process != kolo_process_number())
        return kolo_fail(
            KOLO_ERR_STATE,
            "this process was forked from the one that called kolo_init; a context does not survive a fork, "
            "call kolo_init in the child (or fork before kolo_init)");
    return KOLO_OK;
}

kolo_status kolo_context_result(const kolo_request *request)
{
    if (request->status == KOLO_OK)
        return KOLO_OK;
    if (request->error == NULL)
        return kolo_fail(request->status, "%s", kolo_status_text(request->status));
    return kolo_error_adopt(request->error);
}
