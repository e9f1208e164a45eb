using QwenServe.Access;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Responses;

/// <summary>What one response added to its conversation. Shared by all responses that continue it.</summary>
internal sealed class ResponseTurn(IReadOnlyList<ResponseItem> input, IReadOnlyList<ResponseItem> output)
{
    public IReadOnlyList<ResponseItem> Input => input;

    public IEnumerable<ResponseItem> Items => input.Concat(output);

    /// <summary>What it costs to keep it.</summary>
    public long Bytes { get; } = input.Concat(output).Sum(i => ResponseStore.Cost(JsonCopy.Measure(i.Write)) + i.Pieces.Count * 8L);

    /// <summary>Stored responses that hold it; the store's own.</summary>
    public int Holders { get; set; }
}

/// <summary>A response that has ended.</summary>
/// <param name="Owner">Whose request it answers; nobody else finds it.</param>
/// <param name="Response">It.</param>
/// <param name="Context">The turns of its conversation, its own last.</param>
internal sealed record StoredResponse(ApiTenant Owner, Response Response, IReadOnlyList<ResponseTurn> Context)
{
    public string Id => Response.Id;

    /// <summary>What it costs beside its turns.</summary>
    public long Bytes { get; } = ResponseStore.Cost(JsonCopy.Measure(json => Response.Write(json))) + Context.Count * 8L;

    /// <summary>What the model was given.</summary>
    public IEnumerable<ResponseItem> Input => Context.Take(Context.Count - 1).SelectMany(t => t.Items).Concat(Context[^1].Input);
}

/// <summary>
/// The responses used last, in memory: bounded by number and by bytes, and gone with the process. A response holds the turns of its whole
/// conversation, so it can be continued as long as it is here itself, whatever has become of those before it; a turn is counted once. A tenant finds
/// what is its own: what belongs to others is as if it were not there. Thread-safe.
/// </summary>
internal sealed class ResponseStore(LimitSettings limits)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, LinkedListNode<StoredResponse>> _known = new(StringComparer.Ordinal);
    private readonly LinkedList<StoredResponse> _byUse = [];
    private readonly Dictionary<(ApiTenant Owner, string Id), ResponseItem> _items = [];
    private long _bytes;

    /// <summary>Whether anything is kept.</summary>
    public bool IsOpen => limits.MaxStoredResponses > 0 && limits.MaxStoredResponseBytes > 0;

    /// <summary>How many are kept, and what they cost.</summary>
    public (int Count, long Bytes) Held
    {
        get { lock (_gate) return (_known.Count, _bytes); }
    }

    /// <summary>Bytes of memory for a text of so many bytes of JSON: strings are of 16-bit units.</summary>
    public static long Cost(int json) => 2L * json;

    /// <summary>Null: the tenant never had such a response, or it has been pushed out or deleted.</summary>
    public StoredResponse? Find(ApiTenant owner, string id)
    {
        lock (_gate)
        {
            if (!_known.TryGetValue(id, out var node) || node.Value.Owner != owner) return null;
            _byUse.Remove(node);
            _byUse.AddFirst(node);
            return node.Value;
        }
    }

    /// <summary>An item of the conversation of any response that the tenant has stored.</summary>
    public ResponseItem? FindItem(ApiTenant owner, string id)
    {
        lock (_gate) return _items.GetValueOrDefault((owner, id));
    }

    public void Add(StoredResponse response)
    {
        // One that could push out all others and would still not fit.
        if (response.Bytes + response.Context.Sum(t => t.Bytes) > limits.MaxStoredResponseBytes) return;
        lock (_gate)
        {
            _known[response.Id] = _byUse.AddFirst(response);
            _bytes += response.Bytes;
            foreach (var turn in response.Context)
            {
                if (turn.Holders++ > 0) continue;
                _bytes += turn.Bytes;
                foreach (var item in turn.Items) _items[(response.Owner, item.Id)] = item;
            }
            while (_known.Count > limits.MaxStoredResponses || _bytes > limits.MaxStoredResponseBytes) Drop(_byUse.Last!);
        }
    }

    /// <returns>Whether it was there.</returns>
    public bool Remove(ApiTenant owner, string id)
    {
        lock (_gate)
        {
            if (!_known.TryGetValue(id, out var node) || node.Value.Owner != owner) return false;
            Drop(node);
            return true;
        }
    }

    private void Drop(LinkedListNode<StoredResponse> node)
    {
        var response = node.Value;
        _byUse.Remove(node);
        _known.Remove(response.Id);
        _bytes -= response.Bytes;
        foreach (var turn in response.Context)
        {
            if (--turn.Holders > 0) continue;
            _bytes -= turn.Bytes;
            foreach (var item in turn.Items)
                if (_items.TryGetValue((response.Owner, item.Id), out var held) && ReferenceEquals(held, item)) _items.Remove((response.Owner, item.Id));
        }
    }
}
