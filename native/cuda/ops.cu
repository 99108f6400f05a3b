#include "stable_abi.h"
__global__ void twice(float* x) { x[threadIdx.x] += x[threadIdx.x]; }
extern "C" int aoti_torch_get_current_cuda_stream(int, void**);
int float32_on_cuda(float* x) {
  void* stream = nullptr;
  aoti_torch_get_current_cuda_stream(0, &stream);
  twice<<<1, 32, 0, static_cast<cudaStream_t>(stream)>>>(x);
  return cudaGetLastError() == cudaSuccess ? aoti_torch_dtype_float32() : -1;
}
