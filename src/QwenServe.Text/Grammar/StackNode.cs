namespace QwenServe.Text.Grammar;

/// <summary>
/// Where the rules that are open go on, innermost first. A node is made once per parent and place, so that equal stacks are one object.
/// Belongs to one matcher and one thread at a time.
/// </summary>
internal sealed class StackNode(State? place, StackNode? parent)
{
    private StackNode[] _above = [];
    private int _count;
    private KeyValuePair<State, int[]>[] _leaving = [];
    private int _leavingCount;

    /// <summary>Where the caller goes on; null at the bottom.</summary>
    public State? Return { get; } = place;

    public StackNode? Parent { get; } = parent;

    public StackNode Push(State place)
    {
        if (place.OnlyEnds) return this;
        for (var i = 0; i < _count; i++)
            if (ReferenceEquals(_above[i].Return, place)) return _above[i];
        if (_count == _above.Length) Array.Resize(ref _above, Math.Max(4, 2 * _count));
        return _above[_count++] = new StackNode(place, this);
    }

    /// <summary>The tokens that begin in a state and end below this node, if they were found before.</summary>
    public int[]? Leaving(State state)
    {
        for (var i = 0; i < _leavingCount; i++)
            if (ReferenceEquals(_leaving[i].Key, state)) return _leaving[i].Value;
        return null;
    }

    public void SetLeaving(State state, int[] tokens)
    {
        if (_leavingCount == 64) _leavingCount = 0;
        if (_leavingCount == _leaving.Length) Array.Resize(ref _leaving, Math.Max(2, 2 * _leavingCount));
        _leaving[_leavingCount++] = new(state, tokens);
    }
}
