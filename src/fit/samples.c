/* samples.c - see samples.h. */
#include "fit/samples.h"

void kolo_samples_add(kolo_samples *samples, double value)
{
    if (samples->count == KOLO_SAMPLES_MAX)
        return;
    size_t at = samples->count++;
    for (; at > 0 && samples->values[at - 1] > value; at--)
        samples->values[at] = samples->values[at - 1];
    samples->values[at] = value;
}

double kolo_samples_median(const kolo_samples *samples, double otherwise)
{
    return samples->count > 0 ? samples->values[(samples->count - 1) / 2] : otherwise;
}

void kolo_samples_price(const kolo_samples *samples, double bytes, double crowd, double *price_ns)
{
    if (samples->count > 0)
        *price_ns = kolo_samples_median(samples, 0) / bytes * crowd;
}
