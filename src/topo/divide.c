/* divide.c - cuts a row of cores into contiguous parts. Pure arithmetic.
 *
 * The slowest rank sets the pace, so every part first gets floor(count / parts) cores. What is left over may be given
 * to anyone (at most the floor once more), and is used to put the cuts on boundaries of packages, NUMA nodes and
 * caches: of all such divisions we take the one with the least crossing cost, and among those the most even one.
 * Dynamic programming over (part, cores given beyond the floor so far): at most count^2 steps. */
#include "topo/internal.h"

#include <stdlib.h>

typedef struct divide_cell {
    int64_t cost;
    int32_t from; /* spare cores given before the last part, on the cheapest way here */
} divide_cell;

/* cost(i parts, spare given) from cost(i-1 parts, ...). inside[c]: crossing cost of boundaries 1..c. */
static void divide_step(const divide_cell *before, divide_cell *now, const int64_t *inside, int32_t part, int32_t floor,
                        int32_t spare_total)
{
    for (int32_t spare = 0; spare <= spare_total; spare++) {
        now[spare] = (divide_cell){.cost = INT64_MAX};
        int32_t end = (part + 1) * floor + spare;
        for (int32_t from = spare > floor ? spare - floor : 0; from <= spare; from++) {
            if (before[from].cost == INT64_MAX)
                continue;
            int32_t start = part * floor + from;
            int64_t extra = spare - from;
            /* Boundaries strictly within [start, end): the evenness term is small change beside any crossing. */
            int64_t cost = before[from].cost + inside[end - 1] - inside[start] + extra * extra;
            if (cost < now[spare].cost)
                now[spare] = (divide_cell){.cost = cost, .from = from};
        }
    }
}

bool kolo_topo_divide(const int64_t *crossing_cost, int32_t count, int32_t parts, int32_t *cuts)
{
    int32_t floor = count / parts, spare_total = count % parts;
    size_t row = (size_t)spare_total + 1;
    divide_cell *cells = calloc(((size_t)parts + 1) * row, sizeof(*cells));
    int64_t *inside = calloc((size_t)count, sizeof(*inside));
    bool ok = cells && inside;
    if (ok) {
        for (int32_t i = 1; i < count; i++)
            inside[i] = inside[i - 1] + crossing_cost[i];
        for (size_t spare = 1; spare < row; spare++)
            cells[spare].cost = INT64_MAX;
        for (int32_t part = 0; part < parts; part++)
            divide_step(cells + (size_t)part * row, cells + ((size_t)part + 1) * row, inside, part, floor, spare_total);
        int32_t spare = spare_total;
        for (int32_t part = parts; part >= 0; part--) {
            cuts[part] = part * floor + spare;
            spare = cells[(size_t)part * row + (size_t)spare].from;
        }
    }
    free(cells);
    free(inside);
    return ok;
}
