#include "kernels.h"
#define ACTCLIP_KERNELS avx512_kernels
#define ACTCLIP_NAME "avx512"
#include "kernels_impl.h"
