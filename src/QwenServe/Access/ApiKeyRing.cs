using System.Security.Cryptography;
using System.Text;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Access;

/// <summary>
/// The keys that open this server, from the settings and from a file that may change while it runs. Only keyed hashes of them are kept, under
/// a key of this process's own, and all are compared in constant time: neither memory nor timing tells a key. A file that cannot be used
/// leaves the keys as they are.
/// </summary>
internal sealed class ApiKeyRing : IDisposable
{
    private readonly byte[] _salt = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<string, ApiTenant> _tenants = new(StringComparer.Ordinal);
    private readonly KeyLimits _defaults;
    private readonly TimeProvider _time;
    private readonly List<(byte[] Hash, ApiTenant Tenant)> _fixed;
    private readonly PolledFiles? _file;
    private readonly ILogger<ApiKeyRing> _log;
    private volatile (byte[] Hash, ApiTenant Tenant)[] _keys;

    /// <exception cref="StartupException">The key file cannot be used.</exception>
    public ApiKeyRing(ServerSettings server, AccessSettings access, TimeProvider time, ILogger<ApiKeyRing> log)
    {
        _defaults = access.Limits;
        _time = time;
        _log = log;
        Anonymous = new ApiTenant("", access.Limits, time);
        _fixed = [.. server.ApiKeys.Distinct().Select((key, i) => (Hash(key), Tenant($"key-{i + 1}", default)))];
        _keys = [.. _fixed];
        if (access.ApiKeyFile is not { } path) return;
        IsFromFile = true;
        try
        {
            byte[] contents = File.ReadAllBytes(path);
            Take(contents);
            _file = new PolledFiles([path], [contents], files => Reload(files[0]), message => log.LogError("The key file {Path} {Message:l}; the keys stay as they were", path, message), time);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new StartupException(e is FormatException ? $"--api-key-file {path}: {e.Message}" : $"--api-key-file: {e.Message}", e, 2);
        }
    }

    /// <summary>Whoever calls while no keys are asked for.</summary>
    public ApiTenant Anonymous { get; }

    /// <summary>Whether a key is asked for. A key file without keys lets nobody in.</summary>
    public bool IsAsked => IsFromFile || _keys.Length > 0;

    private bool IsFromFile { get; }

    /// <summary>Whose key this is; null when it is nobody's.</summary>
    public ApiTenant? Find(string key)
    {
        byte[] hash = Hash(key);
        ApiTenant? found = null;
        foreach (var (known, tenant) in _keys)
            if (CryptographicOperations.FixedTimeEquals(known, hash)) found = tenant;
        return found;
    }

    /// <summary>Looks at the key file now rather than within a second.</summary>
    public void Poll() => _file?.Poll();

    public void Dispose() => _file?.Dispose();

    private void Reload(byte[] contents)
    {
        Take(contents);
        _log.LogInformation("The key file has changed: {Count} keys", _keys.Length - _fixed.Count);
    }

    private void Take(byte[] contents)
    {
        var lines = ApiKeyFile.Parse(contents);
        _keys = [.. _fixed, .. lines.Select(line => (Hash(line.Key), Tenant(line)))];
    }

    /// <summary>The tenant of a name, with what it has used so far.</summary>
    private ApiTenant Tenant(string name, KeyLimits limits)
    {
        limits = limits.Or(_defaults);
        if (_tenants.TryGetValue(name, out var tenant)) tenant.Limit(limits);
        else _tenants.Add(name, tenant = new ApiTenant(name, limits, _time));
        return tenant;
    }

    /// <summary>
    /// A key without a name is known by itself: the line that stands for it in logs may be another key's in the next version of the file, and that one
    /// shall not come into what this one has stored.
    /// </summary>
    private ApiTenant Tenant(ApiKeyLine line)
    {
        if (line.Name is { } name) return Tenant(name, line.Limits);
        var limits = line.Limits.Or(_defaults);
        name = $"line-{line.Line}";
        string identity = "/" + Convert.ToHexString(Hash(line.Key));
        if (_tenants.TryGetValue(identity, out var tenant))
        {
            tenant.Rename(name);
            tenant.Limit(limits);
        }
        else _tenants.Add(identity, tenant = new ApiTenant(name, limits, _time));
        return tenant;
    }

    private byte[] Hash(string key) => HMACSHA256.HashData(_salt, Encoding.UTF8.GetBytes(key));
}
