using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Interop;

/// <summary>Results of the driver API that are told apart here; others keep their number.</summary>
internal enum CUresult
{
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_DEINITIALIZED = 4,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    CUDA_ERROR_LAUNCH_FAILED = 719,
}

internal enum CUdevice_attribute
{
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
}

internal enum CUfunction_attribute
{
    CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
    CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
}

internal enum CUlaunchAttributeID
{
    CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
}

internal enum CUstreamCaptureMode
{
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
}

internal enum CUtensorMapDataType
{
    CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9,
}

internal enum CUtensorMapSwizzle
{
    CU_TENSOR_MAP_SWIZZLE_128B = 3,
}

internal enum CUtensorMapL2promotion
{
    CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2,
    CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3,
}

[StructLayout(LayoutKind.Explicit, Size = 72)]
internal struct CUlaunchAttribute
{
    [FieldOffset(0)] public CUlaunchAttributeID id;
    [FieldOffset(8)] public int programmaticStreamSerializationAllowed;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CUlaunchConfig
{
    public uint gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
    public nint hStream;
    public CUlaunchAttribute* attrs;
    public uint numAttrs;
}

/// <summary>An opaque descriptor of a tensor for the bulk copy engine; the driver wants it on a 64-byte boundary.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
internal unsafe struct CUtensorMap
{
    public fixed ulong opaque[16];
}

/// <summary>The driver API, libcuda.so.1.</summary>
internal static unsafe partial class CudaDriver
{
    private const string Library = NativeLibraries.Driver;

    [LibraryImport(Library)] public static partial CUresult cuInit(uint flags);
    [LibraryImport(Library)] public static partial CUresult cuDriverGetVersion(out int version);
    [LibraryImport(Library)] public static partial CUresult cuGetErrorName(CUresult error, out byte* text);
    [LibraryImport(Library)] public static partial CUresult cuGetErrorString(CUresult error, out byte* text);
    [LibraryImport(Library)] public static partial CUresult cuDeviceGetCount(out int count);
    [LibraryImport(Library)] public static partial CUresult cuDeviceGet(out int device, int ordinal);
    [LibraryImport(Library)] public static partial CUresult cuDeviceGetName(byte* name, int length, int device);
    [LibraryImport(Library)] public static partial CUresult cuDeviceGetAttribute(out int value, CUdevice_attribute attribute, int device);
    [LibraryImport(Library)] public static partial CUresult cuDeviceTotalMem_v2(out nuint bytes, int device);
    [LibraryImport(Library)] public static partial CUresult cuDevicePrimaryCtxRetain(out nint context, int device);
    [LibraryImport(Library)] public static partial CUresult cuDevicePrimaryCtxRelease_v2(int device);
    [LibraryImport(Library)] public static partial CUresult cuCtxSetCurrent(nint context);
    [LibraryImport(Library)] public static partial CUresult cuMemGetInfo_v2(out nuint free, out nuint total);
    [LibraryImport(Library)] public static partial CUresult cuMemAlloc_v2(out ulong pointer, nuint bytes);
    [LibraryImport(Library)] public static partial CUresult cuMemFree_v2(ulong pointer);
    [LibraryImport(Library)] public static partial CUresult cuMemHostAlloc(out void* pointer, nuint bytes, uint flags);
    [LibraryImport(Library)] public static partial CUresult cuMemFreeHost(void* pointer);
    [LibraryImport(Library)] public static partial CUresult cuMemcpyHtoDAsync_v2(ulong destination, void* source, nuint bytes, nint stream);
    [LibraryImport(Library)] public static partial CUresult cuMemcpyDtoHAsync_v2(void* destination, ulong source, nuint bytes, nint stream);
    [LibraryImport(Library)] public static partial CUresult cuMemcpyDtoDAsync_v2(ulong destination, ulong source, nuint bytes, nint stream);
    [LibraryImport(Library)] public static partial CUresult cuMemsetD8Async(ulong destination, byte value, nuint count, nint stream);
    [LibraryImport(Library)] public static partial CUresult cuStreamCreate(out nint stream, uint flags);
    [LibraryImport(Library)] public static partial CUresult cuStreamDestroy_v2(nint stream);
    [LibraryImport(Library)] public static partial CUresult cuStreamWaitEvent(nint stream, nint @event, uint flags);
    [LibraryImport(Library)] public static partial CUresult cuStreamSynchronize(nint stream);
    [LibraryImport(Library)] public static partial CUresult cuStreamBeginCapture_v2(nint stream, CUstreamCaptureMode mode);
    [LibraryImport(Library)] public static partial CUresult cuStreamEndCapture(nint stream, out nint graph);
    [LibraryImport(Library)] public static partial CUresult cuGraphInstantiateWithFlags(out nint executable, nint graph, ulong flags);
    [LibraryImport(Library)] public static partial CUresult cuGraphLaunch(nint executable, nint stream);
    [LibraryImport(Library)] public static partial CUresult cuGraphExecDestroy(nint executable);
    [LibraryImport(Library)] public static partial CUresult cuGraphDestroy(nint graph);
    [LibraryImport(Library)] public static partial CUresult cuEventCreate(out nint @event, uint flags);
    [LibraryImport(Library)] public static partial CUresult cuEventRecord(nint @event, nint stream);
    [LibraryImport(Library)] public static partial CUresult cuEventSynchronize(nint @event);
    [LibraryImport(Library)] public static partial CUresult cuEventQuery(nint @event);
    [LibraryImport(Library)] public static partial CUresult cuEventElapsedTime(out float milliseconds, nint start, nint end);
    [LibraryImport(Library)] public static partial CUresult cuEventDestroy_v2(nint @event);
    [LibraryImport(Library)] public static partial CUresult cuModuleLoadData(out nint module, void* image);
    [LibraryImport(Library)] public static partial CUresult cuModuleUnload(nint module);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)] public static partial CUresult cuModuleGetFunction(out nint function, nint module, string name);
    [LibraryImport(Library)] public static partial CUresult cuFuncSetAttribute(nint function, CUfunction_attribute attribute, int value);
    [LibraryImport(Library)] public static partial CUresult cuFuncGetAttribute(out int value, CUfunction_attribute attribute, nint function);
    [LibraryImport(Library)] public static partial CUresult cuLaunchKernelEx(CUlaunchConfig* config, nint function, void** parameters, void** extra);

    [LibraryImport(Library)]
    public static partial CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, uint rank, ulong address, ulong* dimensions,
        ulong* strides, uint* box, uint* elementStrides, int interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, int fill);
}
