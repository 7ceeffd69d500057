/* placement.c - the topology, which cores each rank would get, and the ring. */
#include "info/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_indented(void *user, const char *line)
{
    (void)user;
    printf("  %s\n", line);
}

void info_print_topology(const kolo_topo *topo)
{
    info_heading(kolo_topo_is_real(topo) ? "topology" : "topology (described by HWLOC_* variables; not this machine)");
    kolo_topo_draw(topo, print_indented, NULL);
    if (kolo_topo_is_restricted(topo))
        printf("  this process is bound to fewer cores than its control group allows\n");
}

static bool is_rank_order(const int32_t *ring, int32_t np)
{
    for (int32_t i = 0; i < np; i++)
        if (ring[i] != i)
            return false;
    return true;
}

static void print_ring(const kolo_place *places, int32_t np)
{
    enum { PER_LINE = 16, MANY = 256 };
    int32_t *order = calloc((size_t)np * 4, sizeof(*order));
    if (!order) {
        printf("  ring not found out: out of memory\n");
        return;
    }
    (void)kolo_place_order(places, np, order, order + np, order + 2 * (size_t)np, order + 3 * (size_t)np);
    printf("  ring:");
    bool brief = np > MANY && is_rank_order(order, np);
    if (brief)
        printf(" 0 to %" PRId32 " in rank order", np - 1);
    for (int32_t i = 0; i < np && !brief; i++)
        printf("%s %" PRId32, i > 0 && i % PER_LINE == 0 ? "\n       " : "", order[i]);
    printf(", and back to %" PRId32 "\n", order[0]);
    free(order);
}

/* Ranks that share their cores, from first to last. */
static void print_row(const kolo_topo *topo, int32_t first, int32_t last, const kolo_binding *binding,
                      const kolo_place *place)
{
    char ranks[32], nodes[KOLO_CPUS_TEXT];
    snprintf(ranks, sizeof(ranks), first < last ? "%" PRId32 "-%" PRId32 : "%" PRId32, first, last);
    kolo_topo_nodes(topo, binding->rank_cpus, nodes);
    bool shared = strcmp(binding->rank_cpus, binding->comm_cpus) == 0;
    printf("  %5s  %-24s  %5" PRId32 "  %-24s  %7" PRId32 "  %4" PRId32 "  %s%s\n", ranks, binding->rank_cpus,
           place->allowed_cores, shared ? "shares the core" : binding->comm_cpus, place->package, place->numa,
           *nodes ? "node " : "any node", nodes);
}

/* Each rank as it would see itself once it is bound. */
static void print_ranks(const kolo_topo *topo, int32_t np, kolo_place *places)
{
    kolo_binding binding, next;
    int32_t first = 0;
    printf("  %5s  %-24s  %5s  %-24s  %7s  %4s  %s\n", "rank", "CPUs", "cores", "communication thread", "package",
           "NUMA", "shared memory");
    kolo_topo_binding(topo, 0, np, &next);
    for (int32_t rank = 0; rank < np; rank++) {
        binding = next;
        kolo_topo_place_at(topo, binding.rank_cpus, &places[rank]);
        if (rank + 1 < np)
            kolo_topo_binding(topo, rank + 1, np, &next);
        if (rank + 1 < np && strcmp(binding.rank_cpus, next.rank_cpus) == 0)
            continue;
        print_row(topo, first, rank, &binding, &places[rank]);
        first = rank + 1;
    }
}

static void print_title(int32_t np)
{
    char title[96];
    snprintf(title, sizeof(title), "placement of %" PRId32 " rank%s on this machine", np, np == 1 ? "" : "s");
    info_heading(title);
}

void info_print_bound(const kolo_topo *topo, int32_t np)
{
    int32_t cores = kolo_topo_allowed_cores(topo);
    print_title(np);
    printf("  this rank is bound already, to %" PRId32 " core%s; kolo-info --np %" PRId32
           " outside of the job shows all ranks\n",
           cores, cores == 1 ? "" : "s", np);
}

void info_print_placement(const kolo_topo *topo, int32_t np, bool bind)
{
    print_title(np);
    kolo_place *places = calloc((size_t)np, sizeof(*places));
    if (!places) {
        printf("  not found out: out of memory\n");
        return;
    }
    int32_t cores = kolo_topo_allowed_cores(topo);
    kolo_binding first;
    kolo_topo_binding(topo, 0, np, &first);
    if (!bind || !first.bound) {
        if (!bind)
            printf("  no rank is bound: KOLO_BIND=none\n");
        else
            printf("  no rank is bound: %" PRId32 " ranks share %" PRId32 " core%s, and not evenly\n", np, cores,
                   cores == 1 ? "" : "s");
        for (int32_t rank = 0; rank < np; rank++)
            kolo_topo_place(topo, &places[rank]);
    } else {
        print_ranks(topo, np, places);
    }
    print_ring(places, np);
    free(places);
}
