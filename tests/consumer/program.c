/* A program outside the tree: averages rank + 1 over all ranks. */
#include <kolo/kolo.h>
#include <stdio.h>

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, kolo_last_error()->message);
    return 1;
}

int main(void)
{
    kolo_context *ctx;
    if (kolo_init(NULL, &ctx) != KOLO_OK)
        return fail("init");
    float value = (float)kolo_rank(ctx) + 1.0f;
    kolo_args args = KOLO_ARGS_INIT;
    args.output = KOLO_VECTOR(&value, 1, KOLO_FLOAT32);
    args.op = KOLO_AVERAGE;
    if (kolo_allreduce(ctx, &args, NULL) != KOLO_OK)
        return fail("allreduce");
    printf("rank %d of %d: average %g\n", (int)kolo_rank(ctx), (int)kolo_size(ctx), (double)value);
    if (kolo_finalize(ctx) != KOLO_OK)
        return fail("finalize");
    return 0;
}
