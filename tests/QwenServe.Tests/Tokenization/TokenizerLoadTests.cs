using System.Text.Json.Nodes;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

public sealed class TokenizerLoadTests
{
    private static readonly SmallTokenizer Small = SmallTokenizer.Train("the cat sat on the mat with 中文字 中文 🤗🤗 and the other cats", 80)
        .Add("<|im_end|>", special: true).Add("<tool_call>", special: false);

    [Fact]
    public void Every_format_gives_the_same_tokenizer()
    {
        var expected = Small.Load();
        var random = new Random(8);
        var texts = Enumerable.Range(0, 200).Select(_ => RandomText.Next(random, 20)).Append("<|im_end|> the cats <tool_call>").ToArray();
        Action<string>[] formats =
        [
            directory => Small.WriteJson(directory, pairs: true),
            directory => Small.WriteJson(directory, pairs: false, escaped: true),
            directory => Small.WriteVocabularyAndMerges(directory, versionLine: true),
            directory => Small.WriteVocabularyAndMerges(directory, versionLine: false),
            directory =>
            {
                Small.WriteVocabularyAndMerges(directory, versionLine: true);
                var merges = Path.Combine(directory, "merges.txt");
                File.WriteAllText(merges, File.ReadAllText(merges).ReplaceLineEndings("\r\n"));
            },
            directory => WriteJson(directory, json =>
            {
                // Merges before the vocabulary they speak of, and added tokens in tokenizer_config.json alone.
                var model = json["model"]!.AsObject();
                var vocabulary = model["vocab"]!;
                model.Remove("vocab");
                model.Add("vocab", vocabulary);
                json.Remove("added_tokens");
                Small.WriteVocabularyAndMerges(directory, versionLine: false);
            }),
        ];
        foreach (var write in formats)
        {
            using var directory = new TemporaryDirectory();
            write(directory.Path);
            var tokenizer = Tokenizer.Load(directory.Path);
            Assert.Equal(expected.VocabularySize, tokenizer.VocabularySize);
            Assert.Equal(expected.VocabularyBytes.ToArray(), tokenizer.VocabularyBytes.ToArray());
            Assert.Equal(expected.VocabularyOffsets.ToArray(), tokenizer.VocabularyOffsets.ToArray());
            Assert.True(tokenizer.IsSpecial(tokenizer.FindAddedToken("<|im_end|>")!.Value));
            foreach (var text in texts) Assert.Equal(expected.Encode(text), tokenizer.Encode(text));
        }
    }

    [Fact]
    public void Flags_of_tokenizer_config_win()
    {
        using var directory = new TemporaryDirectory();
        Small.WriteJson(directory.Path, pairs: false);
        var id = Small.Added[1].Id;
        var config = new JsonObject { ["added_tokens_decoder"] = new JsonObject { [$"{id}"] = new JsonObject { ["content"] = "<tool_call>", ["special"] = true } } };
        File.WriteAllText(directory.File("tokenizer_config.json"), config.ToJsonString());
        Assert.True(Tokenizer.Load(directory.Path).IsSpecial(id));
        Assert.False(Small.Load().IsSpecial(id));
    }

    [Fact]
    public void Ids_without_a_token_have_no_bytes()
    {
        using var directory = new TemporaryDirectory();
        WriteJson(directory.Path, json => json["added_tokens"]![1]!["id"] = 5_000);
        var tokenizer = Tokenizer.Load(directory.Path);
        Assert.Equal(5_001, tokenizer.VocabularySize);
        Assert.False(tokenizer.HasToken(4_999));
        Assert.False(tokenizer.HasToken(-1));
        Assert.False(tokenizer.HasToken(5_001));
        Assert.True(tokenizer.HasToken(5_000));
        Assert.True(tokenizer.TokenBytes(4_999).IsEmpty);
        Assert.Equal("<tool_call>", tokenizer.TokenText(5_000));
        Assert.Equal("", tokenizer.Decode([4_999, -1, 9_999], false));
    }

    [Fact]
    public void Ignore_merges_takes_whole_pieces_first()
    {
        using var directory = new TemporaryDirectory();
        var unreachable = Small.Vocabulary.Count + 50;
        void Edit(JsonObject json, bool ignore)
        {
            json["model"]!["vocab"]!["zebra"] = unreachable;
            json["model"]!["ignore_merges"] = ignore;
        }
        WriteJson(directory.Path, json => Edit(json, true));
        Assert.Equal([unreachable], Tokenizer.Load(directory.Path).Encode("zebra"));
        WriteJson(directory.Path, json => Edit(json, false));
        Assert.DoesNotContain(unreachable, Tokenizer.Load(directory.Path).Encode("zebra"));
    }

    [Fact]
    public void Without_a_normalizer_nothing_is_normalized()
    {
        using var directory = new TemporaryDirectory();
        WriteJson(directory.Path, json => json["normalizer"] = null);
        var tokenizer = Tokenizer.Load(directory.Path);
        Assert.Equal("e\u0301", tokenizer.Decode(tokenizer.Encode("e\u0301"), false));
        Assert.Equal("é", Small.Load().Decode(Small.Load().Encode("e\u0301"), false));
    }

    public static TheoryData<string, string> OtherTokenizers => new()
    {
        { """["model"]["type"]=WordPiece""", "model.type is WordPiece" },
        { """["model"]["byte_fallback"]=true""", "byte_fallback" },
        { """["model"]["vocab"]=[]""", "model.vocab" },
        { """["model"]["end_of_word_suffix"]="</w>" """, "suffixes" },
        { """["normalizer"]={"type":"Lowercase"}""", "Lowercase" },
        { """["pre_tokenizer"]={"type":"ByteLevel","add_prefix_space":false}""", "pre_tokenizer" },
        { """["post_processor"]={"type":"TemplateProcessing"}""", "TemplateProcessing" },
        { """["model"]["merges"]=["a b c"]""", "not two tokens" },
        { """["model"]["merges"]=["q !!"]""", "vocabulary lacks" },
        { """["model"]["merges"]=[7]""", "neither a string nor a pair" },
        { """["model"]["vocab"]={"a":-1}""", "is not a number from 0" },
        { """["model"]["vocab"]={"a":0}""", "no token for byte" },
    };

    [Theory]
    [MemberData(nameof(OtherTokenizers))]
    public void What_is_not_Qwens_tokenizer_is_refused_by_name(string change, string message)
    {
        using var directory = new TemporaryDirectory();
        WriteJson(directory.Path, json =>
        {
            var equals = change.IndexOf("]=", StringComparison.Ordinal);
            var keys = change[..equals].Split(["[\"", "\"]", "\""], StringSplitOptions.RemoveEmptyEntries);
            JsonNode at = json;
            foreach (var key in keys[..^1]) at = at[key]!;
            var value = change[(equals + 2)..];
            at[keys[^1]] = value == "WordPiece" ? value : JsonNode.Parse(value);
            if (keys[^1] == "vocab") json["model"]!["merges"] = new JsonArray();
        });
        var error = Assert.Throws<InvalidDataException>(() => Tokenizer.Load(directory.Path));
        Assert.StartsWith(directory.File("tokenizer.json"), error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_files_are_named()
    {
        using var directory = new TemporaryDirectory();
        var json = directory.File("tokenizer.json");
        var good = Small.Json(pairs: true).ToJsonString();
        var random = new Random(9);
        for (var i = 0; i < 60; i++)
        {
            File.WriteAllText(json, good[..random.Next(good.Length)]);
            Assert.StartsWith(json, Assert.Throws<InvalidDataException>(() => Tokenizer.Load(directory.Path)).Message, StringComparison.Ordinal);
        }
        foreach (var text in new[] { "[]", "{}", "null", "{\"model\":{}}", "{\"model\":7}", "{\"added_tokens\":{}}", "{\"added_tokens\":[{}]}", "{\"normalizer\":{}}", "{\"pre_tokenizer\":{\"type\":\"Sequence\"}}" })
        {
            File.WriteAllText(json, text);
            Assert.StartsWith(json, Assert.Throws<InvalidDataException>(() => Tokenizer.Load(directory.Path)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Missing_files_are_named()
    {
        using var directory = new TemporaryDirectory();
        Assert.Contains("tokenizer.json", Assert.Throws<FileNotFoundException>(() => Tokenizer.Load(directory.Path)).Message, StringComparison.Ordinal);
        File.WriteAllText(directory.File("vocab.json"), "{}");
        Assert.Contains("merges.txt", Assert.Throws<FileNotFoundException>(() => Tokenizer.Load(directory.Path)).Message, StringComparison.Ordinal);
        Assert.Contains("nowhere", Assert.Throws<DirectoryNotFoundException>(() => Tokenizer.Load(directory.File("nowhere"))).Message, StringComparison.Ordinal);
    }

    private static void WriteJson(string directory, Action<JsonObject> edit)
    {
        var json = Small.Json(pairs: false);
        edit(json);
        File.WriteAllText(Path.Combine(directory, "tokenizer.json"), json.ToJsonString());
    }
}
