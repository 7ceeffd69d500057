/* prices.h - the numbers that kolo-info calculates with. */
#ifndef KOLO_INFO_PRICES_H
#define KOLO_INFO_PRICES_H

#include <stdbool.h>
#include "base/config.h"
#include "plan/price.h"
#include "topo/topo.h"

typedef struct info_prices {
    kolo_price_model model;
    int32_t measured;  /* with so many threads in the place of ranks; 0: not measured */
    bool by_hand;      /* KOLO_PRICES says what they are */
    bool out_of_reach; /* they would be measured where this process may run on all the ranks' cores */
} info_prices;

/* What np ranks would find here: measured, where topo is this machine and KOLO_PRICES does not say otherwise. Threads
 * take the ranks' places, so messages are not measured; nor is anything where this process is bound to the cores of one of
 * them. What goes wrong is printed. config may be NULL, topo too. */
void info_find_prices(const kolo_config *config, const kolo_topo *topo, int32_t np, bool is_bound, info_prices *prices);

#endif
