/* log.c - what UCX prints goes to the log of whoever called it. */
#include "instance.h"

#include <pthread.h>
#include <ucs/debug/log_def.h>

static _Thread_local const kolo_transport_env *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;

static kolo_log_level level_of(ucs_log_level_t level)
{
    if (level <= UCS_LOG_LEVEL_ERROR)
        return KOLO_LOG_ERROR;
    return level == UCS_LOG_LEVEL_WARN ? KOLO_LOG_WARN : KOLO_LOG_DEBUG;
}

/* UCX has one list of handlers per process: lines of threads that are in no transport of ours pass on to the next. */
static ucs_log_func_rc_t handle(const char *file, unsigned line, const char *function, ucs_log_level_t level,
                                const ucs_log_component_config_t *component, const char *message, va_list args)
{
    (void)file, (void)line, (void)function;
    if (!current || level > component->log_level)
        return UCS_LOG_FUNC_RC_CONTINUE;
    char text[480];
    vsnprintf(text, sizeof(text), message, args);
    kolo_guard_log(current, level_of(level), "ucx: %s", text);
    return UCS_LOG_FUNC_RC_STOP;
}

void ucx_log_open(void)
{
    pthread_mutex_lock(&lock);
    if (users++ == 0)
        ucs_log_push_handler(handle);
    pthread_mutex_unlock(&lock);
}

void ucx_log_close(void)
{
    pthread_mutex_lock(&lock);
    if (--users == 0)
        ucs_log_pop_handler();
    pthread_mutex_unlock(&lock);
}

const kolo_transport_env *ucx_log_enter(const kolo_transport_env *env)
{
    const kolo_transport_env *before = current;
    current = env;
    return before;
}

void ucx_log_leave(const kolo_transport_env *before)
{
    current = before;
}
