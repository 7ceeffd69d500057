/* conformance.c - runs all tests of the suite against one transport. */
#include "conformance.h"

#include "net.h"

#include <stdlib.h>
#include <string.h>

int conformance_run(const conformance_harness *harness)
{
    const struct {
        const struct CMUnitTest *tests;
        size_t count;
    } parts[] = {
        {conformance_control_tests, conformance_control_count},
        {conformance_data_tests, conformance_data_count},
        {conformance_life_tests, conformance_life_count},
        {conformance_heap_tests, conformance_heap_count},
    };
    struct CMUnitTest all[64];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        memcpy(all + count, parts[i].tests, parts[i].count * sizeof(all[0]));
        count += parts[i].count;
    }
    conformance_harness_current = harness;
    const char *only = getenv("KOLO_TEST_FILTER"); /* a pattern of test names, for debugging */
    if (only)
        cmocka_set_test_filter(only);
    return _cmocka_run_group_tests(harness->name, all, count, NULL, NULL);
}
