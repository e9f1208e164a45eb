namespace QwenServe.Engine.Scheduling;

/// <summary>Waiting sequences of one tenant by priority and <see cref="Sequence.Order"/>, linked through themselves.</summary>
internal sealed class SequenceQueue
{
    private Sequence? _last;

    public Sequence? First { get; private set; }

    public int Count { get; private set; }

    /// <summary>Inserts where <see cref="Sequence.Precedes"/> says, quickly at either end.</summary>
    public void Add(Sequence sequence)
    {
        Sequence? after;
        if (First is null || sequence.Precedes(First)) after = null;
        else for (after = _last; sequence.Precedes(after!); after = after!.Previous) { }
        sequence.Previous = after;
        sequence.Next = after is null ? First : after.Next;
        if (sequence.Next is null) _last = sequence;
        else sequence.Next.Previous = sequence;
        if (after is null) First = sequence;
        else after.Next = sequence;
        Count++;
    }

    public void Remove(Sequence sequence)
    {
        if (sequence.Previous is null) First = sequence.Next;
        else sequence.Previous.Next = sequence.Next;
        if (sequence.Next is null) _last = sequence.Previous;
        else sequence.Next.Previous = sequence.Previous;
        sequence.Previous = sequence.Next = null;
        Count--;
    }
}
