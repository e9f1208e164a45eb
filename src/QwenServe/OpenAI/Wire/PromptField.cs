using System.Text.Json;

namespace QwenServe.OpenAI.Wire;

/// <summary>A field that holds a text, texts, token ids, or lists of token ids: the prompts of completions and the inputs of embeddings.</summary>
internal static class PromptField
{
    /// <param name="fields">The request.</param>
    /// <param name="name">The field.</param>
    /// <param name="encode">Makes ids of a text, or throws.</param>
    /// <param name="most">Prompts of one request.</param>
    /// <returns>One entry a prompt, each with at least one id; null when the field is absent.</returns>
    public static List<int[]>? Read(RequestFields fields, string name, Func<string, int[]> encode, int most)
    {
        if (fields.Find(name) is not { } prompt) return null;
        if (prompt.ValueKind == JsonValueKind.String) return [encode(prompt.GetString()!)];
        if (prompt.ValueKind != JsonValueKind.Array) throw ApiException.WrongType(name, "a string, an array of strings, an array of token ids, or an array of arrays of token ids", RequestFields.Describe(prompt));
        int count = prompt.GetArrayLength();
        if (count == 0) throw ApiException.EmptyArray(name);
        if (prompt[0].ValueKind != JsonValueKind.Number) RequireFew(name, count, most);
        switch (prompt[0].ValueKind)
        {
            case JsonValueKind.Number:
                return [Ids(prompt, name)];
            case JsonValueKind.String:
                var texts = new List<int[]>(count);
                foreach (var element in prompt.EnumerateArray())
                    texts.Add(element.ValueKind == JsonValueKind.String ? encode(element.GetString()!) : throw ApiException.WrongType($"{name}[{texts.Count}]", "a string", RequestFields.Describe(element)));
                return texts;
            case JsonValueKind.Array:
                var lists = new List<int[]>(count);
                foreach (var element in prompt.EnumerateArray())
                    lists.Add(element.ValueKind == JsonValueKind.Array ? Ids(element, $"{name}[{lists.Count}]") : throw ApiException.WrongType($"{name}[{lists.Count}]", "an array of token ids", RequestFields.Describe(element)));
                return lists;
            default:
                throw ApiException.WrongType($"{name}[0]", "a string, a token id, or an array of token ids", RequestFields.Describe(prompt[0]));
        }
    }

    /// <exception cref="ApiException">There are more prompts than <paramref name="most"/>.</exception>
    public static void RequireFew(string name, int count, int most)
    {
        if (count > most)
            throw new ApiException(400, $"Invalid '{name}': array too long. Expected an array with maximum length {most}, but got an array with length {count} instead.", name, "array_above_max_length");
    }

    private static int[] Ids(JsonElement array, string path)
    {
        int[] ids = new int[array.GetArrayLength()];
        if (ids.Length == 0) throw ApiException.EmptyArray(path);
        int i = 0;
        foreach (var element in array.EnumerateArray())
        {
            ids[i] = (int)RequestFields.Integer(element, $"{path}[{i}]", 0, int.MaxValue);
            i++;
        }
        return ids;
    }
}
