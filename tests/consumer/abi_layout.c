/* Prints offsets and sizes of the public structs as JSON, for layout.py: {"kolo_dtype": {"": [0, 4], "code": [0, 1], ...}} */
#include <kolo/kolo.h>
#include <stdio.h>

#define DTYPE(X)     X(code) X(bits) X(lanes)
#define TENSOR(X)    X(data) X(device_type) X(device_id) X(ndim) X(dtype) X(shape) X(strides) X(byte_offset)
#define INIT_ARGS(X) X(struct_size) X(log) X(log_user) X(rank) X(size) X(master_addr) X(master_port)
#define ARGS(X)                                                                                                        \
    X(struct_size)                                                                                                     \
    X(name) X(input) X(output) X(inputs) X(outputs) X(tensors) X(op) X(root) X(prescale) X(postscale) X(timeout_ns)    \
        X(flags) X(done) X(user)
#define ERROR(X) X(struct_size) X(status) X(sys_errno) X(operation) X(tensor) X(ranks) X(hop) X(message)
#define API(X)                                                                                                         \
    X(size)                                                                                                            \
    X(abi_major) X(abi_minor) X(init) X(finalize) X(rank) X(world_size) X(local_rank) X(local_size) X(allreduce)       \
        X(broadcast) X(reduce_scatter) X(allgather) X(barrier) X(slice) X(test) X(wait) X(request_free) X(progress)    \
            X(completion_fd) X(alloc) X(free) X(last_error) X(request_error) X(status_name) X(status_text) X(version)  \
                X(prepare) X(start)

/* A function a struct: `type` is the struct in question. */
#define PRINT_FIELD(field) printf(", \"%s\": [%zu, %zu]", #field, offsetof(type, field), sizeof(((type *)0)->field));
#define DEFINE_PRINT(name, FIELDS)                                                                                     \
    static void print_##name(const char *end)                                                                          \
    {                                                                                                                  \
        typedef name type;                                                                                             \
        printf("\"" #name "\": {\"\": [0, %zu]", sizeof(type));                                                        \
        FIELDS(PRINT_FIELD)                                                                                            \
        printf("}%s\n", end);                                                                                          \
    }

DEFINE_PRINT(kolo_dtype, DTYPE)
DEFINE_PRINT(kolo_tensor, TENSOR)
DEFINE_PRINT(kolo_init_args, INIT_ARGS)
DEFINE_PRINT(kolo_args, ARGS)
DEFINE_PRINT(kolo_error, ERROR)
DEFINE_PRINT(kolo_api, API)

int main(void)
{
    printf("{");
    print_kolo_dtype(",");
    print_kolo_tensor(",");
    print_kolo_init_args(",");
    print_kolo_args(",");
    print_kolo_error(",");
    print_kolo_api("}");
    return 0;
}
