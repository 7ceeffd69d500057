/* test_config.c - the environment in, the configuration out; and everything that can be wrong with it. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/error.h"
#include "fail_alloc.h"

typedef struct sink {
    int lines;
    char last[1024];
} sink;

static void keep(void *user, kolo_log_level level, const char *line)
{
    sink *kept = user;
    assert_int_equal(level, KOLO_LOG_WARN);
    kept->lines++;
    strcpy(kept->last, line);
}

static kolo_status load(kolo_config *config, char *first, char *second, sink *kept)
{
    char *envp[] = {first, second, NULL};
    kolo_log log = {.write = keep, .user = kept, .level = KOLO_LOG_ERROR, .rank = -1};
    return kolo_config_init(config, envp, kept != NULL ? &log : NULL);
}

static void describe(const kolo_config *config, const char *variable, kolo_config_entry *entry)
{
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_describe(config, i, entry);
        if (strcmp(entry->variable, variable) == 0)
            return;
    }
    fail_msg("%s is not in the table", variable);
}

static void init__no_environment_gives_defaults(void **state)
{
    (void)state;
    kolo_config config;
    assert_int_equal(kolo_config_init(&config, NULL, NULL), KOLO_OK);
    assert_int_equal(config.log_level, KOLO_LOG_WARN);
    assert_string_equal(config.transport, "auto");
    assert_int_equal(config.chunk_bytes, 262144);
    assert_true(config.timeout_ns == INT64_C(300000000000));
    assert_true(config.spin_ns == KOLO_CONFIG_AUTO);
    assert_int_equal(config.store_fd, -1);
    assert_string_equal(config.job_secret, "");
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_entry entry;
        kolo_config_describe(&config, i, &entry);
        assert_int_equal(entry.origin, KOLO_ORIGIN_DEFAULT);
        assert_int_equal(strncmp(entry.variable, "KOLO_", 5), 0);
        assert_true(strlen(entry.meaning) > 0);
    }
    kolo_config_fini(&config);
}

/* What describe prints can be put back into the environment. */
static void init__defaults_as_described_parse(void **state)
{
    (void)state;
    kolo_config config, again;
    assert_int_equal(kolo_config_init(&config, NULL, NULL), KOLO_OK);
    char texts[64][320];
    char *envp[65] = {NULL};
    assert_true(kolo_config_count() <= 64);
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_entry entry;
        kolo_config_describe(&config, i, &entry);
        strcpy(texts[i], entry.variable);
        strcat(texts[i], "=");
        strcat(texts[i], entry.value);
        envp[i] = texts[i];
    }
    assert_int_equal(kolo_config_init(&again, envp, NULL), KOLO_OK);
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_entry first, second;
        kolo_config_describe(&config, i, &first);
        kolo_config_describe(&again, i, &second);
        assert_string_equal(first.value, second.value);
        assert_int_equal(second.origin, KOLO_ORIGIN_ENVIRONMENT);
    }
    kolo_config_fini(&config);
    kolo_config_fini(&again);
}

static void init__environment_overrides(void **state)
{
    (void)state;
    kolo_config config;
    kolo_config_entry entry;
    assert_int_equal(load(&config, "KOLO_CHUNK=1M", "KOLO_SPIN=50us", NULL), KOLO_OK);
    assert_int_equal(config.chunk_bytes, 1048576);
    assert_int_equal(config.spin_ns, 50000);
    describe(&config, "KOLO_CHUNK", &entry);
    assert_int_equal(entry.origin, KOLO_ORIGIN_ENVIRONMENT);
    assert_int_equal(entry.kind, KOLO_CONFIG_SIZE);
    assert_string_equal(entry.value, "1M");
    describe(&config, "KOLO_FUSION", &entry);
    assert_int_equal(entry.origin, KOLO_ORIGIN_DEFAULT);
    kolo_config_fini(&config);
}

static void init__copies_the_text(void **state)
{
    (void)state;
    kolo_config config;
    char variable[] = "KOLO_UCX_TLS=tcp,self";
    assert_int_equal(load(&config, variable, NULL, NULL), KOLO_OK);
    memset(variable, 'X', sizeof(variable) - 1);
    assert_string_equal(config.ucx_tls, "tcp,self");
    assert_string_equal(kolo_config_text(&config, "UCX_TLS"), "tcp,self");
    kolo_config_fini(&config);
}

static void init__every_level(void **state)
{
    (void)state;
    kolo_config config;
    assert_int_equal(load(&config, "KOLO_LOG=debug", NULL, NULL), KOLO_OK);
    assert_int_equal(config.log_level, KOLO_LOG_DEBUG);
    kolo_config_fini(&config);
}

static void init__malformed_names_variable_value_and_remedy(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"KOLO_CHUNK=lots", "KOLO_CHUNK is 'lots', but must be a size from 64 to 1G, such as 4096 or 64K"},
        {"KOLO_CHUNK=", "KOLO_CHUNK is '', but must be a size"},
        {"KOLO_CHUNK=63", "KOLO_CHUNK is '63', but must be a size from 64"},
        {"KOLO_CHUNK=2G", "KOLO_CHUNK is '2G'"},
        {"KOLO_TIMEOUT=30", "KOLO_TIMEOUT is '30', but must be a time from 0 to 8760h with its unit"},
        {"KOLO_TIMEOUT=auto", "KOLO_TIMEOUT is 'auto', but must be a time"},
        {"KOLO_TIMEOUT=8761h", "KOLO_TIMEOUT is '8761h'"},
        {"KOLO_SPIN=often", "KOLO_SPIN is 'often', but must be auto, or a time"},
        {"KOLO_QUEUE_DEPTH=15", "KOLO_QUEUE_DEPTH is '15', but must be a whole number from 16 to 1048576"},
        {"KOLO_LOG=loud", "KOLO_LOG is 'loud', but must be error, warn, info or debug"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        kolo_config config = {.queue_depth = -99};
        char variable[64];
        strcpy(variable, cases[i][0]);
        assert_int_equal(load(&config, variable, NULL, NULL), KOLO_ERR_CONFIG);
        assert_int_equal(config.queue_depth, -99); /* untouched */
        assert_int_equal(kolo_error_current()->status, KOLO_ERR_CONFIG);
        assert_int_equal(strncmp(kolo_error_current()->message, cases[i][1], strlen(cases[i][1])), 0);
    }
}

static void init__unknown_is_warned_about_with_the_nearest(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"KOLO_CHUNKS=1", "KOLO_CHUNK"},
                                           {"KOLO_ALGORYTHM=ring", "KOLO_ALGORITHM"},
                                           {"KOLO_TRANSPORTPATH", "KOLO_TRANSPORT_PATH"},
                                           {"KOLO_INIT_TIMOUT=3s", "KOLO_INIT_TIMEOUT"},
                                           {"KOLO_LO=3s", "KOLO_LOG"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        kolo_config config;
        sink kept = {0};
        char variable[64], name[64], ending[64] = "the nearest one is ";
        strcpy(variable, cases[i][0]);
        strcpy(name, cases[i][0]);
        name[strcspn(name, "=")] = '\0';
        strcat(ending, cases[i][1]);
        assert_int_equal(load(&config, variable, "OTHER_VARIABLE=1", &kept), KOLO_OK);
        assert_int_equal(kept.lines, 1);
        assert_int_equal(strncmp(kept.last, name, strlen(name)), 0);
        assert_string_equal(kept.last + strlen(kept.last) - strlen(ending), ending);
        kolo_config_fini(&config);
    }
}

static void init__unknown_that_is_near_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"KOLO_LOGGER", "KOLO_FOO", "KOLO_X", "KOLO_BIN_DIR"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        kolo_config config;
        sink kept = {0};
        char variable[32], said[128];
        snprintf(variable, sizeof(variable), "%s=1", names[i]);
        snprintf(said, sizeof(said), "%s is not a variable of Kolo's and is ignored; kolo-info lists them", names[i]);
        assert_int_equal(load(&config, variable, NULL, &kept), KOLO_OK);
        assert_int_equal(kept.lines, 1);
        assert_string_equal(kept.last, said);
        kolo_config_fini(&config);
    }
}

static void init__unknown_of_any_length(void **state)
{
    (void)state;
    kolo_config config;
    sink kept = {0};
    char variable[3000] = "KOLO_";
    memset(variable + 5, 'A', sizeof(variable) - 6);
    variable[sizeof(variable) - 1] = '\0';
    assert_int_equal(load(&config, variable, "KOLO_=x", &kept), KOLO_OK);
    assert_int_equal(kept.lines, 2);
    kolo_config_fini(&config);
}

static void init__warnings_obey_the_configured_level(void **state)
{
    (void)state;
    kolo_config config;
    sink kept = {0};
    assert_int_equal(load(&config, "KOLO_LOG=error", "KOLO_CHUNKS=1", &kept), KOLO_OK);
    assert_int_equal(kept.lines, 0);
    kolo_config_fini(&config);
}

static void init__first_of_two_counts(void **state)
{
    (void)state;
    kolo_config config;
    assert_int_equal(load(&config, "KOLO_QUEUE_DEPTH=100", "KOLO_QUEUE_DEPTH=200", NULL), KOLO_OK);
    assert_int_equal(config.queue_depth, 100);
    kolo_config_fini(&config);
}

static void init__out_of_memory(void **state)
{
    (void)state;
    for (int number = 1; number <= 3; number++) { /* the table, and two copies */
        kolo_config config;
        fail_alloc_at(number);
        assert_int_equal(load(&config, "KOLO_CHUNK=1M", "KOLO_IFACE=eth0", NULL), KOLO_ERR_MEMORY);
        assert_int_equal(kolo_error_current()->status, KOLO_ERR_MEMORY);
    }
    fail_alloc_at(0);
}

static void describe__secret_is_not_shown(void **state)
{
    (void)state;
    kolo_config config;
    kolo_config_entry entry;
    assert_int_equal(load(&config, "KOLO_JOB_SECRET=hush", NULL, NULL), KOLO_OK);
    assert_string_equal(config.job_secret, "hush");
    describe(&config, "KOLO_JOB_SECRET", &entry);
    assert_string_equal(entry.value, "(set)");
    assert_null(kolo_config_text(&config, "JOB_SECRET"));
    kolo_config_fini(&config);
}

static void describe__long_text_is_cut(void **state)
{
    (void)state;
    kolo_config config;
    kolo_config_entry entry;
    char variable[1000] = "KOLO_TRANSPORT_PATH=";
    memset(variable + strlen(variable), '/', sizeof(variable) - strlen("KOLO_TRANSPORT_PATH=") - 1);
    assert_int_equal(load(&config, variable, NULL, NULL), KOLO_OK);
    describe(&config, "KOLO_TRANSPORT_PATH", &entry);
    assert_int_equal(strlen(entry.value), sizeof(entry.value) - 1);
    kolo_config_fini(&config);
}

static void text__as_set_or_by_default(void **state)
{
    (void)state;
    kolo_config config;
    assert_int_equal(load(&config, "KOLO_SHM_WINDOW=1024K", NULL, NULL), KOLO_OK);
    assert_null(kolo_config_text(&config, "NO_SUCH_THING"));
    assert_null(kolo_config_text(&config, "UCX_TLS"));
    assert_string_equal(kolo_config_text(&config, "SHM_WINDOW"), "1024K");
    assert_string_equal(kolo_config_text(&config, "CHUNK"), "256K");
    assert_string_equal(kolo_config_text(&config, "SHM_ATTACH"), "yes");
    assert_string_equal(kolo_config_text(&config, "TRANSPORT"), "auto");
    kolo_config_fini(&config);
}

static void describe__yes_or_no(void **state)
{
    (void)state;
    kolo_config config;
    kolo_config_entry entry;
    assert_int_equal(load(&config, NULL, NULL, NULL), KOLO_OK);
    describe(&config, "KOLO_SHM_ATTACH", &entry);
    assert_string_equal(entry.value, "yes");
    kolo_config_fini(&config);
    assert_int_equal(load(&config, "KOLO_SHM_ATTACH=0", NULL, NULL), KOLO_OK);
    describe(&config, "KOLO_SHM_ATTACH", &entry);
    assert_string_equal(entry.value, "no");
    kolo_config_fini(&config);
    assert_int_equal(load(&config, "KOLO_SHM_ATTACH=maybe", NULL, NULL), KOLO_ERR_CONFIG);
    assert_non_null(strstr(kolo_error_current()->message, "yes or no"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__no_environment_gives_defaults),
        cmocka_unit_test(init__defaults_as_described_parse),
        cmocka_unit_test(init__environment_overrides),
        cmocka_unit_test(init__copies_the_text),
        cmocka_unit_test(init__every_level),
        cmocka_unit_test(init__malformed_names_variable_value_and_remedy),
        cmocka_unit_test(init__unknown_is_warned_about_with_the_nearest),
        cmocka_unit_test(init__unknown_that_is_near_nothing),
        cmocka_unit_test(init__unknown_of_any_length),
        cmocka_unit_test(init__warnings_obey_the_configured_level),
        cmocka_unit_test(init__first_of_two_counts),
        cmocka_unit_test(init__out_of_memory),
        cmocka_unit_test(describe__secret_is_not_shown),
        cmocka_unit_test(describe__long_text_is_cut),
        cmocka_unit_test(text__as_set_or_by_default),
        cmocka_unit_test(describe__yes_or_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
