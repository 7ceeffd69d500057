/* Compiled after one installed header alone, as C and as C++: uses what it defines. */
#ifdef KOLO_H
kolo_args make_args(void *data, const int64_t *shape);
kolo_args make_args(void *data, const int64_t *shape)
{
    kolo_args args = KOLO_ARGS_INIT;
    kolo_init_args init_args = KOLO_INIT_ARGS_INIT;
    args.output = kolo_vector(data, shape, KOLO_BFLOAT16);
    args.output.device_id = init_args.rank == -1 ? 0 : 1;
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
kolo_tensor make_tensor(void *data, const int64_t *count);
kolo_tensor make_tensor(void *data, const int64_t *count)
{
#ifdef __cplusplus
    return kolo_vector(data, count, make_dtype());
#else
    kolo_tensor tensor = KOLO_VECTOR(data, 1, make_dtype());
    tensor.shape = count;
    return tensor;
#endif
}
