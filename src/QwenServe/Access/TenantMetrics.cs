using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace QwenServe.Access;

/// <summary>
/// What is asked, used and refused, by the names of keys: the operator's own words, of which the first hundred become labels and the rest
/// "other". Never a key.
/// </summary>
internal sealed class TenantMetrics : IDisposable
{
    private const int MostNames = 100;

    private readonly Lock _gate = new();
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly Meter _meter = new("QwenServe.Access");
    private readonly Counter<long> _requests;
    private readonly Counter<long> _tokens;
    private readonly Counter<long> _rejected;

    public TenantMetrics()
    {
        _requests = _meter.CreateCounter<long>("qwenserve.tenant_requests", description: "Requests by the name of their key.");
        _tokens = _meter.CreateCounter<long>("qwenserve.tenant_tokens", description: "Tokens by the name of the key and by kind.");
        _rejected = _meter.CreateCounter<long>("qwenserve.requests_rejected", description: "Requests turned away, by reason and the name of their key.");
    }

    public Meter Meter => _meter;

    public void Asked(string tenant) => _requests.Add(1, new TagList { { "tenant", Label(tenant) } });

    public void Used(string tenant, int promptTokens, int outputTokens)
    {
        string label = Label(tenant);
        _tokens.Add(promptTokens, new TagList { { "tenant", label }, { "kind", "prompt" } });
        _tokens.Add(outputTokens, new TagList { { "tenant", label }, { "kind", "generation" } });
    }

    public void Rejected(string tenant, string reason) => _rejected.Add(1, new TagList { { "tenant", Label(tenant) }, { "reason", reason } });

    public void Dispose() => _meter.Dispose();

    private string Label(string tenant)
    {
        if (tenant.Length == 0) return "";
        lock (_gate) return _names.Contains(tenant) || _names.Count < MostNames && _names.Add(tenant) ? tenant : "other";
    }
}
