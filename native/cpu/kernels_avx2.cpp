#include "kernels.h"
#define ACTCLIP_KERNELS avx2_kernels
#define ACTCLIP_NAME "avx2"
#include "kernels_impl.h"
