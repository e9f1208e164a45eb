using System.Runtime.InteropServices;
using System.Text.Json;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// The lengths that a request may have, whichever endpoint it is for: what grows with them is paid before the engine's queue can say no. Looks at
/// lengths alone; what is of the wrong type is left to those who read it.
/// </summary>
internal static class RequestLimits
{
    /// <exception cref="ApiException">400: something is longer than allowed; names the field.</exception>
    public static void Check(JsonElement request, LimitSettings limits)
    {
        foreach (var property in request.EnumerateObject())
        {
            string name = property.Name;
            var value = property.Value;
            switch (name)
            {
                case "messages":
                    Array(name, value, limits.MaxMessages);
                    break;
                case "input":
                    // Messages in the Responses API; texts or ids elsewhere.
                    if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Object) Array(name, value, limits.MaxMessages);
                    break;
                case "tools" or "functions":
                    Array(name, value, limits.MaxTools);
                    if (value.ValueKind == JsonValueKind.Array) Elements(name, value, limits.MaxSchemaBytes);
                    break;
                case "stop" or "stop_sequences":
                    Array(name, value, limits.MaxStopStrings);
                    Stops(name, value, limits.MaxStopLength);
                    break;
                case "response_format" or "structured_outputs" or "guided_json" or "guided_regex" or "guided_choice" or "guided_grammar" or "text" or "output_format":
                    // A text to be embedded or ranked has the body's limit.
                    if (name != "text" || value.ValueKind == JsonValueKind.Object) Text(name, value, limits.MaxSchemaBytes);
                    break;
            }
        }
    }

    private static void Array(string name, JsonElement value, int most)
    {
        if (value.ValueKind != JsonValueKind.Array) return;
        int length = value.GetArrayLength();
        if (length > most)
            throw new ApiException(400, $"Invalid '{name}': array too long. Expected an array with maximum length {most}, but got an array with length {length} instead.", name, "array_above_max_length");
    }

    private static void Elements(string name, JsonElement array, long most)
    {
        int i = 0;
        foreach (var element in array.EnumerateArray()) Text($"{name}[{i++}]", element, most);
    }

    private static void Stops(string name, JsonElement value, int most)
    {
        if (value.ValueKind == JsonValueKind.String) Stop(name, value, most);
        if (value.ValueKind != JsonValueKind.Array) return;
        int i = 0;
        foreach (var element in value.EnumerateArray())
        {
            if (element.ValueKind == JsonValueKind.String) Stop($"{name}[{i}]", element, most);
            i++;
        }
    }

    private static void Stop(string path, JsonElement value, int most)
    {
        // Spares all but those at fault the decoding: no character is shorter than a byte.
        if (JsonMarshal.GetRawUtf8Value(value).Length - 2 <= most) return;
        int length = value.GetString()!.Length;
        if (length > most)
            throw new ApiException(400, $"Invalid '{path}': string too long. Expected a string with maximum length {most}, but got a string with length {length} instead.", path, "string_above_max_length");
    }

    private static void Text(string path, JsonElement value, long most)
    {
        long length = JsonMarshal.GetRawUtf8Value(value).Length;
        if (length > most)
            throw new ApiException(400, $"Invalid '{path}': too large. Expected at most {most} bytes of JSON, but got {length} bytes instead.", path, "string_above_max_length");
    }
}
