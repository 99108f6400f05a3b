// The functions that we use of LibTorch's stable C ABI, which libtorch_cpu exports: its headers are
// not in the presets' jars, and these declarations are all that is needed of them. See
// docs/source/notes/libtorch_stable_abi.md in pytorch/pytorch.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct AtenTensorOpaque;
using AtenTensorHandle = AtenTensorOpaque*;  // an at::Tensor*

struct TorchLibraryOpaque;
using TorchLibraryHandle = TorchLibraryOpaque*;

using AOTITorchError = int32_t;  // 0, or something went wrong: see check() in tensor.h
using StableIValue = uint64_t;

AOTITorchError aoti_torch_get_data_ptr(AtenTensorHandle, void**);
AOTITorchError aoti_torch_get_numel(AtenTensorHandle, int64_t*);
AOTITorchError aoti_torch_get_dim(AtenTensorHandle, int64_t*);
AOTITorchError aoti_torch_get_sizes(AtenTensorHandle, int64_t**);
AOTITorchError aoti_torch_get_strides(AtenTensorHandle, int64_t**);
AOTITorchError aoti_torch_get_dtype(AtenTensorHandle, int32_t*);
AOTITorchError aoti_torch_get_layout(AtenTensorHandle, int32_t*);
AOTITorchError aoti_torch_get_device_type(AtenTensorHandle, int32_t*);
AOTITorchError aoti_torch_get_device_index(AtenTensorHandle, int32_t*);

AOTITorchError aoti_torch_empty_strided(
    int64_t dim, const int64_t* sizes, const int64_t* strides, int32_t dtype, int32_t device_type,
    int32_t device_index, AtenTensorHandle*);
AOTITorchError aoti_torch_copy_(AtenTensorHandle to, AtenTensorHandle from, int32_t non_blocking);
AOTITorchError aoti_torch_assign_tensors(AtenTensorHandle from, AtenTensorHandle to);
AOTITorchError aoti_torch_new_tensor_handle(AtenTensorHandle, AtenTensorHandle*);
AOTITorchError aoti_torch_is_defined(AtenTensorHandle, bool*);
AOTITorchError aoti_torch_delete_tensor_object(AtenTensorHandle);

int32_t aoti_torch_dtype_float32();
int32_t aoti_torch_dtype_float64();
int32_t aoti_torch_dtype_bfloat16();
int32_t aoti_torch_dtype_float16();
int32_t aoti_torch_dtype_uint8();
size_t aoti_torch_dtype_element_size(int32_t dtype);
int32_t aoti_torch_layout_strided();
int32_t aoti_torch_device_type_cpu();
int32_t aoti_torch_device_type_cuda();

AOTITorchError aoti_torch_cpu_convolution(
    AtenTensorHandle x, AtenTensorHandle weight, AtenTensorHandle* bias, const int64_t* stride,
    int64_t, const int64_t* padding, int64_t, const int64_t* dilation, int64_t, int32_t transposed,
    const int64_t* output_padding, int64_t, int64_t groups, AtenTensorHandle*);

AOTITorchError torch_parallel_for(
    int64_t begin, int64_t end, int64_t grain, void (*)(int64_t, int64_t, void*), void*);
AOTITorchError torch_get_num_threads(uint32_t*);

// A kernel of the dispatcher owns the tensors among its arguments, and writes its results over them.
using BoxedKernel = void (*)(StableIValue* stack, uint64_t arguments, uint64_t results);
AOTITorchError aoti_torch_library_init_def(
    const char* ns, const char* file, uint32_t line, TorchLibraryHandle*);
AOTITorchError aoti_torch_library_init_impl(
    const char* ns, const char* key, const char* file, uint32_t line, TorchLibraryHandle*);
AOTITorchError aoti_torch_library_def(TorchLibraryHandle, const char* schema);
AOTITorchError torch_library_impl(
    TorchLibraryHandle, const char* name, BoxedKernel, uint64_t built_for);
AOTITorchError aoti_torch_delete_library_object(TorchLibraryHandle);
AOTITorchError torch_call_dispatcher(
    const char* name, const char* overload, StableIValue* stack, uint64_t built_for);

bool aoti_torch_grad_mode_is_enabled();

// Those of LibTorch 2.13 and newer: null in an older one.
__attribute__((weak)) const char* torch_exception_get_what_without_backtrace();
__attribute__((weak)) AOTITorchError torch_delete_stable_ivalue(StableIValue*);

}  // extern "C"

namespace actclip {

// Which release's conventions the stacks follow, as a newer LibTorch asks: 2.10.0, a byte for each.
constexpr uint64_t kBuiltFor = (uint64_t{2} << 56) | (uint64_t{10} << 48);

}  // namespace actclip
