using System.Globalization;
using System.Text.Json;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// One JSON object of a request, read by name. Null counts as absent, as the SDKs send it for whatever the user left out. Every mistake
/// becomes an <see cref="ApiException"/> that names the path.
/// </summary>
internal sealed class RequestFields
{
    private readonly JsonElement _element;
    private readonly string _path;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    /// <param name="element">An object.</param>
    /// <param name="path">Where it is in the request; empty for the body itself.</param>
    public RequestFields(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Object) throw ApiException.WrongType(path, "an object", Describe(element));
        _element = element;
        _path = path;
    }

    public JsonElement Element => _element;

    /// <summary>The path of a field, such as <c>messages[0].role</c>.</summary>
    public string PathOf(string name) => _path.Length == 0 ? name : _path + "." + name;

    /// <summary>The field's value; null when absent or null.</summary>
    public JsonElement? Find(string name)
    {
        _known.Add(name);
        return _element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    /// <summary>Marks fields as known without reading them.</summary>
    public void Ignore(params ReadOnlySpan<string> names)
    {
        foreach (string name in names) _known.Add(name);
    }

    public string? Text(string name)
    {
        if (Find(name) is not { } value) return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw ApiException.WrongType(PathOf(name), "a string", Describe(value));
    }

    public string RequiredText(string name) => Text(name) ?? throw ApiException.Missing(PathOf(name));

    public bool? Boolean(string name)
    {
        if (Find(name) is not { } value) return null;
        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw ApiException.WrongType(PathOf(name), "a boolean", Describe(value)),
        };
    }

    public double? Number(string name, double minimum = double.MinValue, double maximum = double.MaxValue)
        => Find(name) is { } value ? Number(value, PathOf(name), minimum, maximum) : null;

    public long? Integer(string name, long minimum = long.MinValue, long maximum = long.MaxValue)
        => Find(name) is { } value ? Integer(value, PathOf(name), minimum, maximum) : null;

    public RequestFields? Object(string name)
        => Find(name) is { } value ? new RequestFields(value, PathOf(name)) : null;

    /// <summary>The elements of an array; null when absent.</summary>
    public JsonElement[]? Array(string name)
    {
        if (Find(name) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : throw ApiException.WrongType(PathOf(name), "an array", Describe(value));
    }

    /// <summary>One of a set of strings.</summary>
    public string? Choice(string name, params ReadOnlySpan<string> choices)
    {
        if (Text(name) is not { } value) return null;
        foreach (string choice in choices)
            if (choice == value) return value;
        throw UnknownChoice(PathOf(name), value, choices);
    }

    /// <exception cref="ApiException">A field is there that nobody asked for.</exception>
    public void RejectUnknown()
    {
        foreach (var property in _element.EnumerateObject())
            if (!_known.Contains(property.Name))
                throw new ApiException(400, $"Unknown parameter: '{PathOf(property.Name)}'.", PathOf(property.Name), "unknown_parameter");
    }

    public static ApiException UnknownChoice(string path, string value, params ReadOnlySpan<string> choices)
        => ApiException.InvalidValue(path, $"Invalid value: '{value}'. Supported values are: {string.Join(", ", choices.ToArray().Select(c => $"'{c}'"))}.");

    public static double Number(JsonElement value, string path, double minimum, double maximum)
    {
        if (value.ValueKind != JsonValueKind.Number) throw ApiException.WrongType(path, "a decimal", Describe(value));
        double number = value.GetDouble();
        if (!double.IsFinite(number)) throw ApiException.InvalidValue(path, $"Invalid '{path}': {value.GetRawText()} is not a finite number.");
        if (number > maximum) throw OutOfRange(path, "decimal", "above_max", "maximum", "<=", maximum, value);
        if (number < minimum) throw OutOfRange(path, "decimal", "below_min", "minimum", ">=", minimum, value);
        return number;
    }

    public static long Integer(JsonElement value, string path, long minimum, long maximum)
    {
        if (value.ValueKind != JsonValueKind.Number) throw ApiException.WrongType(path, "an integer", Describe(value));
        if (!value.TryGetInt64(out long number))
        {
            // 100.0 and 1e3 are whole as well; what is too large for 64 bits is out of any range.
            double real = value.GetDouble();
            if (!double.IsFinite(real) || real != Math.Floor(real)) throw ApiException.WrongType(path, "an integer", "a decimal number");
            if (real >= 9.2233720368547758e18) throw OutOfRange(path, "integer", "above_max", "maximum", "<=", maximum, value);
            if (real <= -9.2233720368547758e18) throw OutOfRange(path, "integer", "below_min", "minimum", ">=", minimum, value);
            number = (long)real;
        }
        if (number > maximum) throw OutOfRange(path, "integer", "above_max", "maximum", "<=", maximum, value);
        if (number < minimum) throw OutOfRange(path, "integer", "below_min", "minimum", ">=", minimum, value);
        return number;
    }

    /// <summary>What a value is, in the words of OpenAI's messages.</summary>
    public static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => value.TryGetInt64(out _) ? "an integer" : "a decimal number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    private static ApiException OutOfRange<T>(string path, string kind, string code, string bound, string relation, T limit, JsonElement value) where T : IFormattable
        => new(400, $"Invalid '{path}': {kind} {code.Split('_')[0]} {bound} value. Expected a value {relation} {limit.ToString(null, CultureInfo.InvariantCulture)}, but got {value.GetRawText()} instead.",
            path, $"{kind}_{code}_value");
}
