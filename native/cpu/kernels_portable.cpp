#include "kernels.h"
#define ACTCLIP_KERNELS portable_kernels
#define ACTCLIP_NAME "portable"
#include "kernels_impl.h"
