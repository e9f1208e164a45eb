using System.Text.Json.Serialization;

namespace QwenServe.Text.Grammar;

[JsonSerializable(typeof(string))]
internal sealed partial class TextJson : JsonSerializerContext;
