using System.Text;

namespace QwenServe.Benchmarks;

/// <summary>
/// About a megabyte each of made-up English, Chinese, code and emoji, the same every time. Words are drawn with the uneven
/// frequencies of real text, and a part of them is made of syllables, so that names and rare words keep coming that no
/// cache has seen.
/// </summary>
internal static class TokenizerTexts
{
    private const int Length = 1_000_000;

    private static readonly string[] English =
        ("the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their " +
        "we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my " +
        "now over such our man me even most made after also did many off before must well back through years much where your way down should because long each just state those " +
        "people too little very good world still see own work men day get here between both under never another know while last might great year since against right used take three " +
        "water house river question answer model network sequence memory processor request response server window evening morning country government history language music science " +
        "temperature measurement understanding relationship development environment information technology particularly international responsibility approximately characteristic").Split(' ');

    private static readonly string[] Syllables = "ka ber ton mi ral us den vo lin tar est or an el qui zen pha ro sto wick ham ley by field stra mer go nu tes sel".Split(' ');

    private static readonly string[] Chinese =
        ("的 是 了 在 我们 他们 这个 一个 可以 没有 问题 模型 数据 语言 时间 世界 中国 今天 明天 工作 学习 研究 发展 技术 系统 服务 请求 内存 处理 网络 生活 朋友 老师 学生 城市 " +
        "历史 文化 经济 社会 科学 方法 结果 原因 因为 所以 但是 如果 虽然 而且 已经 正在 非常 重要 需要 使用 提供 支持 包括 以及 通过 进行 北京 上海 春天 夏天 河流 山脉 音乐 电影 " +
        "说 看 做 想 去 来 给 把 被 让 从 向 对 和 与 也 都 就 还 很 更 最 不 会 能 要 大 小 多 少 新 旧 高 低 好").Split(' ');

    private static readonly string[] Identifiers =
        "count index buffer value result request response token cache length offset start end next left right node parent child name path stream reader writer state handler".Split(' ');

    private static readonly string[] Emoji =
        "😀 😁 😂 🤣 😊 😍 🥰 😎 🤔 😢 😭 😡 👍 👎 🙏 💪 👏 🎉 🚀 🔥 ❤️ ✨ ✅ ❌ 🌍 🍕 🐱 🐶 👨‍👩‍👧‍👦 🏳️‍🌈 🇨🇳 🇫🇷 👍🏽 🧑‍💻 🤷‍♀️".Split(' ');

    public static IEnumerable<(string Name, string Text)> All()
    {
        yield return ("english", Make(1, EnglishSentence));
        yield return ("chinese", Make(2, ChineseSentence));
        yield return ("code", Make(3, CodeFunction));
        yield return ("emoji", Make(4, EmojiMessage));
    }

    private static string Make(int seed, Action<StringBuilder, Random> append)
    {
        var random = new Random(seed);
        var text = new StringBuilder();
        while (text.Length < Length) append(text, random);
        return text.ToString();
    }

    /// <summary>Low indices far more often than high ones.</summary>
    private static string Pick(string[] words, Random random)
    {
        var x = random.NextDouble();
        return words[(int)(x * x * x * words.Length)];
    }

    private static string RareWord(Random random)
    {
        var word = string.Concat(Enumerable.Range(0, random.Next(2, 5)).Select(_ => Syllables[random.Next(Syllables.Length)]));
        return random.Next(3) == 0 ? char.ToUpperInvariant(word[0]) + word[1..] : word;
    }

    private static void EnglishSentence(StringBuilder text, Random random)
    {
        for (int i = 0, words = random.Next(6, 24); i < words; i++)
        {
            var word = random.Next(12) == 0 ? RareWord(random) : Pick(English, random);
            text.Append(i == 0 ? char.ToUpperInvariant(word[0]) + word[1..] : word);
            if (random.Next(40) == 0) text.Append("'s");
            if (random.Next(60) == 0) text.Append(' ').Append(random.Next(2100));
            text.Append(i == words - 1 ? "." : random.Next(10) == 0 ? ", " : " ");
        }
        text.Append(random.Next(6) == 0 ? "\n\n" : " ");
    }

    private static void ChineseSentence(StringBuilder text, Random random)
    {
        for (int i = 0, words = random.Next(5, 20); i < words; i++)
        {
            // One word in ten is two characters that may never have stood together.
            if (random.Next(10) == 0) text.Append((char)random.Next(0x4E00, 0x9000)).Append((char)random.Next(0x4E00, 0x9000));
            else text.Append(Chinese[random.Next(Chinese.Length)]);
            if (random.Next(8) == 0) text.Append('，');
            if (random.Next(80) == 0) text.Append(random.Next(2100)).Append('年');
        }
        text.Append(random.Next(6) == 0 ? "。\n" : "。");
    }

    private static void CodeFunction(StringBuilder text, Random random)
    {
        string Name() => Pick(Identifiers, random) + (random.Next(2) == 0 ? "_" + Pick(Identifiers, random) : random.Next(4) == 0 ? char.ToUpperInvariant(RareWord(random)[0]) + RareWord(random) : "");
        text.Append("def ").Append(Name()).Append("(self, ").Append(Name()).Append(": int, ").Append(Name()).Append("=None):\n    \"\"\"");
        EnglishSentence(text, random);
        text.Append("\"\"\"\n");
        for (var lines = random.Next(4, 16); lines > 0; lines--)
        {
            var indent = new string(' ', 4 * random.Next(1, 4));
            text.Append(indent).Append(random.Next(4) switch
            {
                0 => $"if {Name()} <= {random.Next(4096)} and not self.{Name()}[{Name()} - 1]:\n{indent}    raise ValueError(f\"{Name()} {{{Name()}!r}}\")",
                1 => $"self.{Name()} = {Name()}({Name()}, {Name()}={random.Next(100)}, key=lambda x: x.{Name()})",
                2 => $"for {Name()}, {Name()} in enumerate({Name()}.items()):\n{indent}    {Name()} += 0x{random.Next():X8}",
                _ => $"return {{\"{Name()}\": {Name()}, \"{Name()}\": [{random.Next(1000)}, {random.NextDouble().ToString("R", System.Globalization.CultureInfo.InvariantCulture)}]}}",
            }).Append('\n');
        }
        text.Append("\n\n");
    }

    private static void EmojiMessage(StringBuilder text, Random random)
    {
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            text.Append(Emoji[random.Next(Emoji.Length)]);
            if (random.Next(3) == 0) text.Append(' ').Append(Pick(English, random)).Append(random.Next(2) == 0 ? "! " : " ");
        }
        text.Append(random.Next(5) == 0 ? "\n" : " ");
    }
}
