using System.Globalization;
using System.Text;

namespace QwenServe.Access;

/// <summary>A line of the key file.</summary>
/// <param name="Key">The secret.</param>
/// <param name="Name">What it is called in logs and metrics; keys of one name share its limits and what they have stored. Null: nobody else's.</param>
/// <param name="Line">Where it stands, from 1.</param>
/// <param name="Limits">Its own limits, over the defaults.</param>
internal sealed record ApiKeyLine(string Key, string? Name, int Line, KeyLimits Limits);

/// <summary>
/// The key file: a key a line, and after it what is known of it. Errors name the line and never the key.
/// <code>
/// # comment
/// sk-4f1c… name=team-a rpm=600 tpm=200000 concurrency=32
/// sk-99ab… name=team-a
/// sk-0d2e…
/// </code>
/// </summary>
internal static class ApiKeyFile
{
    public const int MaxBytes = 1 << 20;

    /// <exception cref="FormatException">The file is not a key file.</exception>
    public static List<ApiKeyLine> Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes) throw new FormatException($"is larger than {MaxBytes} bytes");
        string text;
        try
        {
            text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            throw new FormatException("is not UTF-8");
        }
        // A file that an editor has just emptied looks so for a moment; that nobody shall enter is said by a comment.
        if (string.IsNullOrWhiteSpace(text)) throw new FormatException("is empty");
        var keys = new List<ApiKeyLine>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var limits = new Dictionary<string, KeyLimits>(StringComparer.Ordinal);
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0 || words[0].StartsWith('#')) continue;
            var key = Read(words, number);
            if (!seen.Add(key.Key)) throw Wrong(number, "the key is there already");
            keys.Add(key);
            if (key.Name is null) continue;
            bool known = limits.TryGetValue(key.Name, out var others);
            if (known && key.Limits != default && others != default && others != key.Limits) throw Wrong(number, $"'{key.Name}' has other limits on another line");
            if (!known || key.Limits != default) limits[key.Name] = key.Limits;
        }
        return [.. keys.Select(k => k.Name is null ? k : k with { Limits = limits[k.Name] })];
    }

    /// <summary>Whether a name can be a label of metrics: letters, digits, dots, dashes and underscores, at most 64.</summary>
    public static bool IsName(string name)
        => name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    private static ApiKeyLine Read(string[] words, int number)
    {
        foreach (char c in words[0])
            if (c is < '!' or > '~') throw Wrong(number, "the key has a character that cannot be in a header");
        string? name = null;
        var limits = new KeyLimits();
        foreach (string word in words.Skip(1).TakeWhile(w => !w.StartsWith('#')))
        {
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            string value = word[(equals + 1)..];
            switch (equals < 0 ? "" : word[..equals])
            {
                case "name":
                    name = IsName(value) ? value : throw Wrong(number, "a name has 1 to 64 letters, digits, '.', '-' or '_'");
                    break;
                case "rpm":
                    limits = limits with { RequestsPerMinute = (int)Count(value, "rpm", int.MaxValue) };
                    break;
                case "tpm":
                    limits = limits with { TokensPerMinute = Count(value, "tpm", long.MaxValue / 1000) };
                    break;
                case "concurrency":
                    limits = limits with { Concurrency = (int)Count(value, "concurrency", int.MaxValue) };
                    break;
                default:
                    // The word may be part of a key with a space in it.
                    throw Wrong(number, "after the key may stand name=, rpm=, tpm= and concurrency=");
            }
        }
        return new ApiKeyLine(words[0], name, number, limits);

        long Count(string text, string what, long most)
            => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long count) && count >= 1 && count <= most ? count : throw Wrong(number, $"{what} must be a whole number from 1");
    }

    private static FormatException Wrong(int line, string message) => new($"line {line}: {message}");
}
