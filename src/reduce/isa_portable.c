/* isa_portable.c - the kernels in plain vector extension: what the compiler's baseline offers (SSE2 on x86-64). */
#define VECTOR_BYTES 16
#define ISA_NAME "portable"
#define ISA_TABLE kolo_kernels_portable
#include "reduce/native_none.h"
#include "reduce/kernels.inc"
