using System.Text;
using QwenServe.Access;

namespace QwenServe.Tests.Access;

public class ApiKeyFileTests
{
    [Fact]
    public void A_line_is_a_key_and_what_is_known_of_it()
    {
        var keys = Parse("# ours\nsk-1 name=team-a rpm=60 tpm=1000 concurrency=4\r\n\n  sk-2\tname=team-a # the next one\nsk-3\n");
        Assert.Equal([new("sk-1", "team-a", 2, new(60, 1000, 4)), new("sk-2", "team-a", 4, new(60, 1000, 4)), new("sk-3", null, 5, default)], keys);
    }

    [Fact]
    public void Comments_alone_are_a_file_without_keys() => Assert.Empty(Parse("# nobody\n"));

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("  \n\n", "is empty")]
    [InlineData("sk-secret rpm=0", "line 1: rpm must be a whole number from 1")]
    [InlineData("a\nsk-secret tpm=many", "line 2: tpm must be a whole number from 1")]
    [InlineData("sk-secret limit=3", "line 1: after the key may stand")]
    [InlineData("sk-secret word", "line 1: after the key may stand")]
    [InlineData("sk-secret name=a/b", "line 1: a name has")]
    [InlineData("sk-sécret", "line 1: the key has a character")]
    [InlineData("sk-secret\nsk-secret", "line 2: the key is there already")]
    [InlineData("sk-secret name=a rpm=1\nb name=a rpm=2", "line 2: 'a' has other limits on another line")]
    public void A_mistake_is_told_by_its_line_and_never_by_its_key(string text, string message)
    {
        var error = Assert.Throws<FormatException>(() => Parse(text));
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cret", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_not_text_is_no_key_file()
    {
        Assert.Equal("is not UTF-8", Assert.Throws<FormatException>(() => ApiKeyFile.Parse([0x61, 0xff, 0xfe])).Message);
        Assert.Throws<FormatException>(() => ApiKeyFile.Parse(new byte[ApiKeyFile.MaxBytes + 1]));
    }

    private static List<ApiKeyLine> Parse(string text) => ApiKeyFile.Parse(Encoding.UTF8.GetBytes(text));
}
