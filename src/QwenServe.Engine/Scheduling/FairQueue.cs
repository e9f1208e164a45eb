namespace QwenServe.Engine.Scheduling;

/// <summary>
/// All waiting sequences, shared out fairly between tenants: of those with something waiting, the one that has had the fewest tokens is
/// next. A tenant's thousand requests therefore wait for each other and not in front of another's one. Within a tenant, and between all of
/// them where the scheduling policy heeds priorities, the lower priority value comes first.
///
/// Tokens are counted as the virtual token counter of Sheng et al. (2024, "Fairness in Serving Large Language Models") counts them: those of
/// a prompt that had to be computed once, those of the output twice. A tenant that was away begins at the count of the one served last, so
/// that idleness earns nothing. With one tenant this is the order of arrival.
/// </summary>
internal sealed class FairQueue
{
    private const int OutputWeight = 2;

    private readonly Dictionary<string, Tenant> _tenants = new(StringComparer.Ordinal);
    private readonly List<Tenant> _backlogged = [];
    private long _virtualTime;
    private int _open;

    /// <summary>Sequences that wait.</summary>
    public int Count { get; private set; }

    /// <summary>Tenants with waiting sequences, in no order.</summary>
    public List<Tenant> Backlogged => _backlogged;

    /// <summary>Tenants known: those with open requests, and those that have had more than their share since the engine was last idle.</summary>
    public int TenantCount => _tenants.Count;

    /// <summary>The sequence to admit next; null when none waits.</summary>
    public Sequence? First
    {
        get
        {
            Tenant? best = null;
            foreach (var tenant in _backlogged)
                if (best is null || IsBefore(tenant, best)) best = tenant;
            return best?.Waiting.First;
        }
    }

    /// <summary>A request has come.</summary>
    public Tenant Open(string name)
    {
        if (!_tenants.TryGetValue(name, out var tenant)) _tenants.Add(name, tenant = new Tenant(name));
        tenant.Open++;
        _open++;
        return tenant;
    }

    /// <summary>A request has ended; its sequences wait no more.</summary>
    public void Close(Tenant tenant)
    {
        _open--;
        // What it would begin with if it came back is what is forgotten here.
        if (--tenant.Open == 0 && tenant.Service <= _virtualTime) _tenants.Remove(tenant.Name);
        if (_open > 0) return;
        _tenants.Clear();
        _virtualTime = 0;
    }

    public void Add(Sequence sequence)
    {
        var tenant = sequence.Group.Tenant!;
        if (tenant.Waiting.Count == 0)
        {
            tenant.Service = Math.Max(tenant.Service, _virtualTime);
            _backlogged.Add(tenant);
        }
        tenant.Waiting.Add(sequence);
        Count++;
    }

    public void Remove(Sequence sequence)
    {
        var tenant = sequence.Group.Tenant!;
        tenant.Waiting.Remove(sequence);
        Count--;
        if (tenant.Waiting.Count > 0) return;
        int i = _backlogged.IndexOf(tenant);
        _backlogged[i] = _backlogged[^1];
        _backlogged.RemoveAt(_backlogged.Count - 1);
    }

    /// <summary>A request gets its first step, which computes this much of its prompt sooner or later.</summary>
    public void Admitted(Tenant tenant, int promptTokens)
    {
        _virtualTime = Math.Max(_virtualTime, tenant.Service);
        tenant.Service += Math.Max(promptTokens, 1);
    }

    /// <summary>A token has been drawn for a tenant.</summary>
    public static void Drawn(Tenant tenant) => tenant.Service += OutputWeight;

    private static bool IsBefore(Tenant a, Tenant b)
    {
        Sequence first = a.Waiting.First!, second = b.Waiting.First!;
        if (first.Group.Priority != second.Group.Priority) return first.Group.Priority < second.Group.Priority;
        return a.Service != b.Service ? a.Service < b.Service : first.Order < second.Order;
    }
}
