using System.Runtime.CompilerServices;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>A loaded cubin.</summary>
internal sealed unsafe class CudaModule : IDisposable
{
    private nint _module;

    public CudaModule(byte[] cubin)
    {
        fixed (byte* image = cubin) CudaDriver.cuModuleLoadData(out _module, image).Check(nameof(CudaDriver.cuModuleLoadData));
    }

    /// <summary>A kernel of the module, ready for launches with up to this much dynamic shared memory.</summary>
    public CudaKernel Kernel(string name, int sharedBytes = 0)
    {
        CudaDriver.cuModuleGetFunction(out nint function, _module, name).Check($"{nameof(CudaDriver.cuModuleGetFunction)} {name}");
        if (sharedBytes > 0)
            CudaDriver.cuFuncSetAttribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sharedBytes)
                .Check($"{nameof(CudaDriver.cuFuncSetAttribute)} {name}, {sharedBytes} bytes of shared memory");
        return new CudaKernel(name, function);
    }

    public void Dispose()
    {
        if (_module != 0) _ = CudaDriver.cuModuleUnload(_module);
        _module = 0;
    }
}

/// <summary>A kernel that takes one struct.</summary>
internal sealed unsafe class CudaKernel(string name, nint function)
{
    public string Name { get; } = name;

    /// <summary>Launches. With overlap the kernel may start before its predecessor in the stream has ended and waits itself where it must.</summary>
    public void Launch<T>(nint stream, in T arguments, int gridX, int gridY, int gridZ, int threads, int sharedBytes, bool overlap) where T : unmanaged
    {
        if (gridX <= 0 || gridY <= 0 || gridZ <= 0) return;
        CUlaunchAttribute attribute;
        attribute.id = CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attribute.programmaticStreamSerializationAllowed = 1;
        CUlaunchConfig config;
        config.gridDimX = (uint)gridX;
        config.gridDimY = (uint)gridY;
        config.gridDimZ = (uint)gridZ;
        config.blockDimX = (uint)threads;
        config.blockDimY = config.blockDimZ = 1;
        config.sharedMemBytes = (uint)sharedBytes;
        config.hStream = stream;
        config.attrs = &attribute;
        config.numAttrs = overlap ? 1u : 0u;
        fixed (T* pointer = &arguments)
        {
            void* parameter = pointer;
            var status = CudaDriver.cuLaunchKernelEx(&config, function, &parameter, null);
            if (status != CUresult.CUDA_SUCCESS) throw CudaException.Of(status, $"{nameof(CudaDriver.cuLaunchKernelEx)} {Name} <{gridX}, {gridY}, {gridZ}; {threads}; {sharedBytes}>");
        }
    }
}
