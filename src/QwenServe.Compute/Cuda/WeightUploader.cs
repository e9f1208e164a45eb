using System.Collections.Concurrent;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>
/// Brings tensors from mapped files to the card. Each of several threads has two pinned buffers and a stream of its own: while one
/// buffer travels, the thread fills the other, converting where the checkpoint is not bf16.
/// </summary>
internal sealed unsafe class WeightUploader : IDisposable
{
    private const int ChunkBytes = 8 << 20;

    private readonly nint _context;
    private readonly BlockingCollection<Piece> _pieces = [];
    private readonly Thread[] _threads;
    private Exception? _failure;

    private sealed class Batch
    {
        private int _left = 1;

        public void Add() => Interlocked.Increment(ref _left);

        public void Finish()
        {
            if (Interlocked.Decrement(ref _left) > 0) return;
            lock (this) Monitor.PulseAll(this);
        }

        public void Wait()
        {
            lock (this)
                while (Volatile.Read(ref _left) > 0) Monitor.Wait(this);
        }
    }

    private readonly record struct Piece(nint Source, DType From, DType To, ulong Destination, long Count, Batch Batch);

    public WeightUploader(nint context)
    {
        _context = context;
        _threads = new Thread[Math.Clamp(Environment.ProcessorCount, 1, 8)];
        for (int i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Work) { IsBackground = true, Name = $"weights {i}" };
            _threads[i].Start();
        }
    }

    /// <summary>Copies one tensor, as bf16 or fp32, and returns when the bytes are on the card.</summary>
    public void Upload(HostTensor source, ulong destination, DType type) => Upload([(source, destination)], type);

    /// <summary>Copies several tensors side by side.</summary>
    public void Upload(ReadOnlySpan<(HostTensor Source, ulong Destination)> tensors, DType type)
    {
        var batch = new Batch();
        foreach (var (source, destination) in tensors)
        {
            long count = source.Rows * source.Columns, step = ChunkBytes / 4;
            for (long at = 0; at < count; at += step)
            {
                batch.Add();
                _pieces.Add(new Piece((nint)(source.Pointer + at * source.Type.Size()), source.Type, type, destination + (ulong)(at * type.Size()), Math.Min(step, count - at), batch));
            }
        }
        batch.Finish();
        batch.Wait();
        if (_failure is not null) throw new CudaException($"copying weights to the GPU failed: {_failure.Message}");
    }

    private void Work()
    {
        nint stream = 0;
        var buffers = stackalloc byte*[2];
        var events = stackalloc nint[2];
        var pending = new Batch?[2];
        int turn = 0;
        try
        {
            CudaDriver.cuCtxSetCurrent(_context).Check(nameof(CudaDriver.cuCtxSetCurrent));
            CudaDriver.cuStreamCreate(out stream, 1).Check(nameof(CudaDriver.cuStreamCreate));
            for (int i = 0; i < 2; i++)
            {
                CudaDriver.cuMemHostAlloc(out void* buffer, ChunkBytes, 0).Check(nameof(CudaDriver.cuMemHostAlloc));
                buffers[i] = (byte*)buffer;
                CudaDriver.cuEventCreate(out events[i], 2).Check(nameof(CudaDriver.cuEventCreate));
            }
        }
        catch (CudaException problem)
        {
            _failure ??= problem;
        }

        while (true)
        {
            Piece piece;
            if (!_pieces.TryTake(out piece))
            {
                // Nothing to do: what is under way has to be reported before this thread sleeps.
                Settle(0);
                Settle(1);
                if (!TakeOrEnd(out piece)) break;
            }
            Settle(turn);
            if (_failure is null)
            {
                try
                {
                    Convert(piece, buffers[turn]);
                    CudaDriver.cuMemcpyHtoDAsync_v2(piece.Destination, buffers[turn], (nuint)(piece.Count * piece.To.Size()), stream).Check(nameof(CudaDriver.cuMemcpyHtoDAsync_v2));
                    CudaDriver.cuEventRecord(events[turn], stream).Check(nameof(CudaDriver.cuEventRecord));
                }
                catch (CudaException problem)
                {
                    _failure = problem;
                }
            }
            pending[turn] = piece.Batch;
            turn ^= 1;
        }
        for (int i = 0; i < 2; i++)
        {
            if (events[i] != 0) _ = CudaDriver.cuEventDestroy_v2(events[i]);
            if (buffers[i] is not null) _ = CudaDriver.cuMemFreeHost(buffers[i]);
        }
        if (stream != 0) _ = CudaDriver.cuStreamDestroy_v2(stream);

        void Settle(int i)
        {
            if (pending[i] is not { } batch) return;
            if (_failure is null && CudaDriver.cuEventSynchronize(events[i]) is var status and not CUresult.CUDA_SUCCESS)
                _failure = CudaException.Of(status, nameof(CudaDriver.cuEventSynchronize));
            batch.Finish();
            pending[i] = null;
        }
    }

    private bool TakeOrEnd(out Piece piece)
    {
        try
        {
            piece = _pieces.Take();
            return true;
        }
        catch (InvalidOperationException)
        {
            piece = default;
            return false;
        }
    }

    private static void Convert(Piece piece, byte* to)
    {
        var source = (byte*)piece.Source;
        int count = (int)piece.Count;
        if (piece.From == piece.To)
        {
            Buffer.MemoryCopy(source, to, ChunkBytes, piece.Count * piece.To.Size());
            return;
        }
        for (int i = 0; i < count; i++)
        {
            float value = piece.From switch
            {
                DType.F32 => BitConverter.UInt32BitsToSingle(*(uint*)(source + i * 4L)),
                DType.F16 => (float)*(Half*)(source + i * 2L),
                _ => BitConverter.UInt32BitsToSingle((uint)*(ushort*)(source + i * 2L) << 16),
            };
            if (piece.To == DType.F32) ((float*)to)[i] = value;
            else ((ushort*)to)[i] = Round(value);
        }
    }

    /// <summary>To the nearest bf16, ties to even; NaN stays NaN.</summary>
    private static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)(bits >> 16 | 0x40);
        return (ushort)(bits + 0x7fff + (bits >> 16 & 1) >> 16);
    }

    public void Dispose()
    {
        _pieces.CompleteAdding();
        foreach (var thread in _threads) thread.Join();
        _pieces.Dispose();
    }
}
