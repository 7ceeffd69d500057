/* Compiled after one installed header alone, as C and as C++: uses what it defines. */
#ifdef KOLO_H
kolo_args make_args(void *data, const int64_t *shape);
kolo_args make_args(void *data, const int64_t *shape)
{
    kolo_args args = KOLO_ARGS_INIT;
    kolo_init_args init_args = KOLO_INIT_ARGS_INIT;
    args.output.data = data;
    args.output.device_type = init_args.rank == -1 ? KOLO_DEVICE_CPU : 0;
    args.output.ndim = 1;
    args.output.dtype = KOLO_BFLOAT16;
    args.output.shape = shape;
    args.op = KOLO_AVERAGE;
    return args;
}
#endif
#ifdef KOLO_TRANSPORT_H
int is_module(const kolo_transport_ops *ops);
int is_module(const kolo_transport_ops *ops)
{
    return ops->magic == KOLO_TRANSPORT_MAGIC && ops->abi_min <= KOLO_TRANSPORT_ABI && ops->abi_max >= KOLO_TRANSPORT_ABI;
}
#endif
kolo_dtype make_dtype(void);
kolo_dtype make_dtype(void)
{
    return KOLO_FLOAT32;
}
