/* config.h - every KOLO_* variable in one table: name, kind, default, bounds, meaning.
 *
 * The table is the documentation: kolo-info prints it with the value in force and where that came from. */
#ifndef KOLO_BASE_CONFIG_H
#define KOLO_BASE_CONFIG_H

#include <kolo/types.h>
#include "base/log.h"

/* The longest TIME, a year: so that a deadline from now never overflows. */
#define KOLO_CONFIG_TIME_MAX (INT64_C(365) * 86400 * 1000000000)

/* X(field, "VARIABLE" (without KOLO_), kind, default, min, max, "meaning")
 * kinds: INT (int64), SIZE (bytes: 64K, 4M), TIME (ns: 500us, 30s, 0 = none), TEXT, SECRET (text that is never printed),
 * LEVEL (log level), BOOL. SIZE and TIME may also be "auto" where that is the default. min and max hold for INT, SIZE and
 * TIME. */
#define KOLO_CONFIG_LIST(X)                                                                                            \
    X(log_level, "LOG", LEVEL, "warn", 0, 0,                                                                           \
      "what is logged: error, warn, info, debug")                                                                      \
    X(transport, "TRANSPORT", TEXT, "auto", 0, 0,                                                                       \
      "transport that carries the job: auto (shm on one host, else ucx), or its name")                                \
    X(transport_path, "TRANSPORT_PATH", TEXT, "", 0, 0,                                                                \
      "folders with loadable transports, separated by ':'; searched before the library's own")                       \
    X(init_timeout_ns, "INIT_TIMEOUT", TIME, "60s", 0, KOLO_CONFIG_TIME_MAX,                                           \
      "how long kolo_init waits for all ranks")                                                                        \
    X(timeout_ns, "TIMEOUT", TIME, "300s", 0, KOLO_CONFIG_TIME_MAX,                                                    \
      "deadline of an operation; 0: none")                                                                             \
    X(stall_ns, "STALL_WARNING", TIME, "10s", 0, KOLO_CONFIG_TIME_MAX,                                                 \
      "warn about a tensor that some ranks lack for so long; 0: never")                                                \
    X(algorithm, "ALGORITHM", TEXT, "auto", 0, 0,                                                                      \
      "all-reduce, reduce-scatter, all-gather: auto, ring, oneshot, circulant, direct, direct_oneshot, attach")        \
    X(broadcast, "BROADCAST", TEXT, "auto", 0, 0,                                                                      \
      "broadcast: auto, binomial, chain, direct")                                                                      \
    X(prices, "PRICES", TEXT, "auto", 0, 0,                                                                             \
      "prices that choose algorithms: auto (measured at the start), default, or like flight=200ns,copy=30us")         \
    X(chunk_bytes, "CHUNK", SIZE, "256K", 64, INT64_C(1) << 30,                                                        \
      "piece size of pipelined transfers")                                                                             \
    X(fusion_bytes, "FUSION", SIZE, "16M", 0, INT64_C(1) << 30,                                                        \
      "largest fused group; 0: no fusion")                                                                             \
    X(queue_depth, "QUEUE_DEPTH", INT, "4096", 16, 1048576,                                                            \
      "operations that may be queued before a submitter waits")                                                        \
    X(groups_in_flight, "GROUPS_IN_FLIGHT", INT, "2", 1, 64,                                                           \
      "fusion groups that move data at the same time")                                                                 \
    X(spin_ns, "SPIN", TIME, "auto", 0, KOLO_CONFIG_TIME_MAX,                                                          \
      "how long a waiter spins at most before it yields and sleeps; auto: by the cores per rank")                      \
    X(bind, "BIND", TEXT, "auto", 0, 0,                                                                                \
      "binding: auto (kolorun's ranks to their cores, shared memory near them, the communication thread), none")       \
    X(iface, "IFACE", TEXT, "", 0, 0,                                                                                  \
      "network devices to use, '^name' to leave one out; empty: the transport's choice")                               \
    X(shm_window_bytes, "SHM_WINDOW", SIZE, "12M", 0, INT64_C(1) << 40,                                                \
      "shared memory of each rank for the algorithms of one host; the same on all ranks")                              \
    X(shm_heap_bytes, "SHM_HEAP", SIZE, "auto", 0, INT64_C(1) << 40,                                                   \
      "room of each rank for kolo_alloc's memory, shared in place; auto: as much as there is memory; 0: none")         \
    X(shm_attach, "SHM_ATTACH", BOOL, "yes", 0, 0,                                                                     \
      "cross-memory attach for large private tensors, where the kernel allows it: yes, no")                            \
    X(ucx_tls, "UCX_TLS", TEXT, "", 0, 0,                                                                              \
      "UCX transports; empty: UCX's choice")                                                                           \
    X(job_secret, "JOB_SECRET", SECRET, "", 0, 0,                                                                      \
      "shared secret that ranks prove to the rendezvous (set by kolorun)")                                             \
    X(library, "LIBRARY", TEXT, "", 0, 0,                                                                              \
      "path of the libkolo.so that the Python package loads; the library itself ignores it")                           \
    X(store_fd, "STORE_FD", INT, "-1", -1, 1048576,                                                                    \
      "inherited listening socket for the rendezvous; -1: rank 0 binds MASTER_PORT (set by kolorun)")

typedef enum kolo_config_kind {
    KOLO_CONFIG_INT,
    KOLO_CONFIG_SIZE,
    KOLO_CONFIG_TIME,
    KOLO_CONFIG_TEXT,
    KOLO_CONFIG_LEVEL,
    KOLO_CONFIG_BOOL,
    KOLO_CONFIG_SECRET
} kolo_config_kind;

typedef enum kolo_config_origin { KOLO_ORIGIN_DEFAULT, KOLO_ORIGIN_ENVIRONMENT } kolo_config_origin;

typedef int64_t kolo_config_INT, kolo_config_SIZE, kolo_config_TIME; /* KOLO_CONFIG_AUTO for "auto" */
typedef const char *kolo_config_TEXT, *kolo_config_SECRET;           /* never NULL */
typedef kolo_log_level kolo_config_LEVEL;
typedef bool kolo_config_BOOL;
#define KOLO_CONFIG_AUTO INT64_C(-1)

typedef struct kolo_config {
#define KOLO_CONFIG_FIELD(field, variable, kind, initial, min, max, meaning) kolo_config_##kind field;
    KOLO_CONFIG_LIST(KOLO_CONFIG_FIELD)
#undef KOLO_CONFIG_FIELD
    struct kolo_config_texts *texts; /* owned copies of what is set; and the origins */
} kolo_config;

/* Defaults, overridden by the environment `envp` (NULL-terminated "K=V" list, as environ). A value that does not
 * parse is KOLO_ERR_CONFIG, naming variable, value and what would be accepted. An unknown KOLO_* variable is warned
 * about on log (unless KOLO_LOG says error), with the known name that is one edit away, or two where it is long.
 * kolo_config_fini is needed after success only. */
KOLO_NODISCARD kolo_status kolo_config_init(kolo_config *config, char **envp, const kolo_log *log);
void kolo_config_fini(kolo_config *config);

/* The table, for kolo-info and for transports' options: entry `index` in 0 .. kolo_config_count()-1. */
typedef struct kolo_config_entry {
    const char *variable; /* "KOLO_CHUNK" */
    const char *meaning;
    kolo_config_kind kind;
    kolo_config_origin origin;
    char value[256]; /* as it would be written; secrets as "(set)" */
} kolo_config_entry;
size_t kolo_config_count(void);
void kolo_config_describe(const kolo_config *config, size_t index, kolo_config_entry *entry);
/* The text of a value, as it was set or by default, by its variable without KOLO_ ("UCX_TLS"); NULL when unknown, empty,
 * or a secret. */
const char *kolo_config_text(const kolo_config *config, const char *variable);

/* "512", "64K", "4M", "1G", "2T" (powers of 1024, small letters too) to bytes; "10ns", "500us", "2ms", "30s", "5min",
 * "1h", "0" to ns. False if malformed, negative or out of int64; then the output is untouched. */
bool kolo_parse_size(const char *text, int64_t *bytes);
bool kolo_parse_time(const char *text, int64_t *ns);
/* A whole decimal number within [min, max]; the strict parser for arguments and variables. */
bool kolo_parse_int(const char *text, int64_t min, int64_t max, int64_t *value);
/* 1, true, yes, on; 0, false, no, off. */
bool kolo_parse_bool(const char *text, bool *value);

/* The other way: the shortest exact text that parses to the value. At least 24 bytes of text. Return text. */
char *kolo_format_size(int64_t bytes, char *text, size_t capacity);
char *kolo_format_time(int64_t ns, char *text, size_t capacity);

#endif
