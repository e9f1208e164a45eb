using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// The bytes of every token, contiguous and in the order of ids, and the way back from bytes to id. Ids without a token
/// have no bytes. Immutable.
/// </summary>
internal sealed class Vocabulary
{
    private readonly byte[] _bytes;
    private readonly int[] _offsets;
    private readonly bool[] _present;

    private Vocabulary(byte[] bytes, int[] offsets, bool[] present)
    {
        _bytes = bytes;
        _offsets = offsets;
        _present = present;
    }

    /// <summary>One more than the highest id.</summary>
    public int Count => _present.Length;

    /// <summary>All tokens' bytes: token <c>i</c> is <c>Bytes[Offsets[i]..Offsets[i + 1]]</c>.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes;

    /// <summary><see cref="Count"/> + 1 offsets into <see cref="Bytes"/>.</summary>
    public ReadOnlyMemory<int> Offsets => _offsets;

    public bool Has(int id) => (uint)id < (uint)_present.Length && _present[id];

    public ReadOnlySpan<byte> Token(int id) =>
        (uint)id < (uint)_present.Length ? _bytes.AsSpan(_offsets[id], _offsets[id + 1] - _offsets[id]) : default;

    /// <summary>Collects tokens in any order of ids and answers look-ups by bytes while merges are read.</summary>
    internal sealed class Builder
    {
        private const int NoToken = -1;

        private byte[] _blob = new byte[1 << 20];
        private int _blobCount;
        private int[] _start = new int[1 << 16];
        private int[] _length = new int[1 << 16];
        private int[] _slots = NewSlots(1 << 19);
        private int _indexed;

        public Builder() => Array.Fill(_length, NoToken);

        /// <summary>One more than the highest id so far.</summary>
        public int Count { get; private set; }

        /// <summary>Adds or replaces a token.</summary>
        /// <param name="id">At least 0.</param>
        /// <param name="bytes">What the token stands for.</param>
        /// <param name="findable">Whether merges may lead to it; false for tokens that are not spelled in the byte alphabet.</param>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Add(int id, ReadOnlySpan<byte> bytes, bool findable)
        {
            if (id >= _start.Length) Grow(id);
            if (_blob.Length - _blobCount < bytes.Length) Array.Resize(ref _blob, Math.Max(_blob.Length * 2, _blobCount + bytes.Length));
            bytes.CopyTo(_blob.AsSpan(_blobCount));
            _start[id] = _blobCount;
            _length[id] = bytes.Length;
            _blobCount += bytes.Length;
            Count = Math.Max(Count, id + 1);
            if (findable) Index(id);
        }

        /// <summary>The id of the token with these bytes, or -1.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public int Find(ReadOnlySpan<byte> bytes)
        {
            var mask = _slots.Length - 1;
            for (var slot = (int)Hash(bytes) & mask; ; slot = (slot + 1) & mask)
            {
                var id = _slots[slot];
                if (id < 0) return -1;
                if (_length[id] == bytes.Length && _blob.AsSpan(_start[id], bytes.Length).SequenceEqual(bytes)) return id;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public Vocabulary Build()
        {
            var bytes = new byte[_blobCount];
            var offsets = new int[Count + 1];
            var present = new bool[Count];
            var at = 0;
            for (var id = 0; id < Count; id++)
            {
                offsets[id] = at;
                if (_length[id] == NoToken) continue;
                present[id] = true;
                _blob.AsSpan(_start[id], _length[id]).CopyTo(bytes.AsSpan(at));
                at += _length[id];
            }
            offsets[Count] = at;
            return new Vocabulary(bytes, offsets, present);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Index(int id)
        {
            if (++_indexed * 2 > _slots.Length)
            {
                var old = _slots;
                _slots = NewSlots(old.Length * 2);
                foreach (var other in old)
                    if (other >= 0) Place(other);
            }
            Place(id);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Place(int id)
        {
            var bytes = _blob.AsSpan(_start[id], _length[id]);
            var mask = _slots.Length - 1;
            var slot = (int)Hash(bytes) & mask;
            while (_slots[slot] >= 0 && _slots[slot] != id) slot = (slot + 1) & mask;
            _slots[slot] = id;
        }

        private void Grow(int id)
        {
            var old = _length.Length;
            var size = Math.Max(old * 2, id + 1);
            Array.Resize(ref _start, size);
            Array.Resize(ref _length, size);
            _length.AsSpan(old).Fill(NoToken);
        }

        private static int[] NewSlots(int size)
        {
            var slots = new int[size];
            Array.Fill(slots, -1);
            return slots;
        }

        private static uint Hash(ReadOnlySpan<byte> bytes)
        {
            var hash = (ulong)bytes.Length * 0x9E3779B97F4A7C15;
            while (bytes.Length >= 8)
            {
                hash = (hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes)) * 0xFF51AFD7ED558CCD;
                hash ^= hash >> 32;
                bytes = bytes[8..];
            }
            ulong tail = 0;
            for (var i = 0; i < bytes.Length; i++) tail |= (ulong)bytes[i] << (8 * i);
            hash = (hash ^ tail) * 0xC4CEB9FE1A85EC53;
            return (uint)(hash >> 32);
        }
    }
}
