using System.Buffers;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Byte-pair merging of one piece: again and again the pair of lowest rank joins, the leftmost of equals first.
/// Ordinary pieces are merged in place, the next pair found by looking at all (quadratic, but over a few dozen integers
/// in one cache line or two). Long pieces are merged in sweeps over buckets of equal rank, which does the same joins in the
/// same order in about n log n, so that megabytes of one letter cost what other megabytes cost.
/// </summary>
/// <param name="merges">The pairs that join.</param>
/// <param name="byteIds">The token of each single byte.</param>
/// <param name="wholePieces">Where to look for a token equal to the whole piece before any merging (<c>ignore_merges</c>), or null.</param>
internal sealed class BytePairEncoder(MergeTable merges, int[] byteIds, Vocabulary.Builder? wholePieces)
{
    private const int ShortPiece = 256;

    /// <summary>Appends the ids of a piece (UTF-8, not empty).</summary>
    public void Encode(ReadOnlySpan<byte> piece, IdBuffer output)
    {
        if (piece.Length == 1)
        {
            output.Add(byteIds[piece[0]]);
            return;
        }
        var whole = wholePieces?.Find(piece) ?? -1;
        if (whole >= 0) output.Add(whole);
        else if (piece.Length <= ShortPiece) EncodeShort(piece, output);
        else EncodeLong(piece, output);
    }

    private void EncodeShort(ReadOnlySpan<byte> piece, IdBuffer output)
    {
        Span<int> ids = stackalloc int[ShortPiece];
        Span<int> ranks = stackalloc int[ShortPiece];
        var count = piece.Length;
        ids = ids[..count];
        ranks = ranks[..count];
        ids[count - 1] = byteIds[piece[^1]];
        ranks[count - 1] = MergeTable.None;
        for (var i = 0; i < count - 1; i++)
        {
            ids[i] = byteIds[piece[i]];
            ranks[i] = merges.BytePairRank(piece[i], piece[i + 1]);
        }
        while (true)
        {
            var best = 0;
            var rank = MergeTable.None;
            for (var i = 0; i < count - 1; i++)
            {
                if (ranks[i] >= rank) continue;
                rank = ranks[i];
                best = i;
            }
            if (rank == MergeTable.None) break;
            ids[best] = merges.Merged(rank);
            ids[(best + 2)..count].CopyTo(ids[(best + 1)..]);
            ranks[(best + 2)..count].CopyTo(ranks[(best + 1)..]);
            count--;
            ranks[best] = best + 1 < count ? merges.Rank(ids[best], ids[best + 1]) : MergeTable.None;
            if (best > 0) ranks[best - 1] = merges.Rank(ids[best - 1], ids[best]);
        }
        output.Add(ids[..count]);
    }

    private void EncodeLong(ReadOnlySpan<byte> piece, IdBuffer output)
    {
        var count = piece.Length;
        var ids = ArrayPool<int>.Shared.Rent(count);
        var previous = ArrayPool<int>.Shared.Rent(count);
        var next = ArrayPool<int>.Shared.Rent(count);
        using var queue = new RankBuckets();
        for (var i = 0; i < count; i++)
        {
            ids[i] = byteIds[piece[i]];
            previous[i] = i - 1;
            next[i] = i + 1 < count ? i + 1 : -1;
            if (i + 1 < count) queue.Add(merges.BytePairRank(piece[i], piece[i + 1]), i);
        }
        while (queue.TryTake(out var rank, out var at))
        {
            // A pair that has changed since it was queued: one of its sides was joined elsewhere.
            var right = ids[at] < 0 ? -1 : next[at];
            if (right < 0 || merges.Rank(ids[at], ids[right]) != rank) continue;
            ids[at] = merges.Merged(rank);
            ids[right] = -1;
            var after = next[at] = next[right];
            if (after >= 0)
            {
                previous[after] = at;
                queue.Add(merges.Rank(ids[at], ids[after]), at);
            }
            var before = previous[at];
            if (before >= 0) queue.Add(merges.Rank(ids[before], ids[at]), before);
        }
        for (var at = 0; at >= 0; at = next[at]) output.Add(ids[at]);
        ArrayPool<int>.Shared.Return(ids);
        ArrayPool<int>.Shared.Return(previous);
        ArrayPool<int>.Shared.Return(next);
    }

    /// <summary>
    /// A priority queue of (rank, position) for which most entries share few ranks: positions wait in one list a rank, sorted when
    /// their rank comes up (they nearly always are already), and only ranks go through a heap.
    /// </summary>
    private sealed class RankBuckets : IDisposable
    {
        private readonly Dictionary<int, Bucket> _buckets = [];
        private readonly PriorityQueue<Bucket, int> _waiting = new();
        private Bucket? _current;

        public void Add(int rank, int position)
        {
            if (rank == MergeTable.None) return;
            if (!_buckets.TryGetValue(rank, out var bucket)) _buckets.Add(rank, bucket = new Bucket(rank));
            if (bucket.Add(position)) _waiting.Enqueue(bucket, rank);
        }

        /// <summary>The lowest rank's leftmost position.</summary>
        public bool TryTake(out int rank, out int position)
        {
            if (_current is null || (_waiting.TryPeek(out _, out var lowest) && lowest < _current.Rank))
            {
                if (_current is not null) _waiting.Enqueue(_current, _current.Rank);
                if (!_waiting.TryDequeue(out _current, out _))
                {
                    rank = position = -1;
                    return false;
                }
            }
            rank = _current.Rank;
            position = _current.Take();
            if (_current.IsEmpty)
            {
                _current.Close();
                _current = null;
            }
            return true;
        }

        public void Dispose()
        {
            foreach (var bucket in _buckets.Values) bucket.Dispose();
        }
    }

    private sealed class Bucket(int rank) : IDisposable
    {
        private int[] _positions = [];
        private int _taken;
        private int _count;
        private bool _sorted = true;
        private bool _open;

        public int Rank => rank;

        public bool IsEmpty => _taken == _count;

        /// <summary>True when the bucket was not waiting yet.</summary>
        public bool Add(int position)
        {
            if (_count == _positions.Length)
            {
                var larger = ArrayPool<int>.Shared.Rent(Math.Max(16, _count * 2));
                _positions.AsSpan(_taken, _count - _taken).CopyTo(larger);
                Dispose();
                _positions = larger;
                _count -= _taken;
                _taken = 0;
            }
            if (_count > _taken && position < _positions[_count - 1]) _sorted = false;
            _positions[_count++] = position;
            var wasOpen = _open;
            _open = true;
            return !wasOpen;
        }

        public int Take()
        {
            if (!_sorted)
            {
                _positions.AsSpan(_taken, _count - _taken).Sort();
                _sorted = true;
            }
            return _positions[_taken++];
        }

        public void Close()
        {
            _open = false;
            _taken = _count = 0;
            _sorted = true;
        }

        public void Dispose()
        {
            if (_positions.Length > 0) ArrayPool<int>.Shared.Return(_positions);
            _positions = [];
        }
    }
}
