using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Interop;

internal enum nvrtcResult
{
    NVRTC_SUCCESS = 0,
    NVRTC_ERROR_OUT_OF_MEMORY = 1,
    NVRTC_ERROR_PROGRAM_CREATION_FAILURE = 2,
    NVRTC_ERROR_INVALID_INPUT = 3,
    NVRTC_ERROR_INVALID_PROGRAM = 4,
    NVRTC_ERROR_INVALID_OPTION = 5,
    NVRTC_ERROR_COMPILATION = 6,
    NVRTC_ERROR_BUILTIN_OPERATION_FAILURE = 7,
}

/// <summary>The run-time compiler, libnvrtc.so.12 or .13.</summary>
internal static unsafe partial class Nvrtc
{
    private const string Library = NativeLibraries.Nvrtc;

    [LibraryImport(Library)] public static partial nvrtcResult nvrtcVersion(out int major, out int minor);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcCreateProgram(out nint program, byte* source, byte* name, int headerCount, byte** headers, byte** includeNames);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcDestroyProgram(ref nint program);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcCompileProgram(nint program, int optionCount, byte** options);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcGetCUBINSize(nint program, out nuint size);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcGetCUBIN(nint program, byte* cubin);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcGetProgramLogSize(nint program, out nuint size);
    [LibraryImport(Library)] public static partial nvrtcResult nvrtcGetProgramLog(nint program, byte* log);
}
