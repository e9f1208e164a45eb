namespace QwenServe.Text.Grammar;

/// <summary>A state and the stack below it.</summary>
internal readonly record struct StackItem(State State, StackNode Stack);

/// <summary>All the ways a grammar may have read the same bytes, closed under calls and returns.</summary>
internal sealed class StackSet
{
    private StackItem[] _items = new StackItem[8];
    private int _count;

    public ReadOnlySpan<StackItem> Items => _items.AsSpan(0, _count);

    /// <summary>The bottom was returned to: whatever stands below goes on, or the text is whole.</summary>
    public bool Ended { get; private set; }

    /// <summary>A state was reached that ends the text wherever it stands.</summary>
    public bool EndsText { get; private set; }

    public bool IsEmpty => _count == 0 && !Ended;

    public void Clear()
    {
        _count = 0;
        Ended = EndsText = false;
    }

    public void Add(State state, StackNode stack)
    {
        for (var i = 0; i < _count; i++)
            if (ReferenceEquals(_items[i].State, state) && ReferenceEquals(_items[i].Stack, stack)) return;
        if (_count == _items.Length) Array.Resize(ref _items, 2 * _count);
        _items[_count++] = new(state, stack);
        if (state.EndsText) EndsText = true;
        if (state.Accepts)
        {
            if (stack.Return is { } place) Add(place, stack.Parent!);
            else Ended = true;
        }
        foreach (ref readonly var call in state.Calls.AsSpan()) Add(call.Rule.Start, stack.Push(call.Return));
    }

    /// <summary>Becomes what another set is after one byte more.</summary>
    public void Advance(StackSet from, byte value)
    {
        Clear();
        foreach (ref readonly var item in from.Items)
            if (item.State.Next(value) is { } to) Add(to, item.Stack);
    }

    public void CopyFrom(StackSet other)
    {
        if (_items.Length < other._count) _items = new StackItem[other._items.Length];
        other.Items.CopyTo(_items);
        (_count, Ended, EndsText) = (other._count, other.Ended, other.EndsText);
    }
}
