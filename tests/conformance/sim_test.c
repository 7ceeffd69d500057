/* sim_test.c - the conformance suite over the simulated network. */
#include "conformance.h"
#include "transports/sim/sim.h"

#include <stdlib.h>

static void *world_create(int32_t size, uint64_t seed)
{
    const kolo_sim_options options = {.size = size,
                                      .seed = seed,
                                      .latency_min_ns = 100,
                                      .latency_max_ns = 50000,
                                      .bytes_per_ns = 10,
                                      .early_rate = 0.5,
                                      .cpu_hiccup_ns = 1000000,
                                      .window_bytes = 5000,
                                      .heap_bytes = 24 << 20,
                                      .readable = true};
    kolo_sim *sim;
    return kolo_sim_create(&options, &sim) == KOLO_OK ? sim : NULL;
}

static void world_destroy(void *world)
{
    kolo_sim_destroy(world);
}

static bool advance(void *world)
{
    return kolo_sim_advance(world) >= 0;
}

int main(void)
{
    return conformance_run(&(conformance_harness){.name = "sim",
                                                  .ops = kolo_sim_transport,
                                                  .world_create = world_create,
                                                  .world_destroy = world_destroy,
                                                  .advance = advance});
}
