using System.Diagnostics;
using System.Globalization;
using System.Text;
using QwenServe.Text.Tokenization;

namespace QwenServe.Benchmarks;

/// <summary>
/// Loading and encoding on one thread. Texts are cut into documents of about 16 KB, as requests are; each text is encoded
/// by a tokenizer that has seen none of it (fresh: its cache is empty, the code is warm) and again (warm, best of the rest).
/// <c>--write DIR</c> leaves the texts as files, which <c>tokenizer_reference.py</c> times with Hugging Face <c>tokenizers</c>
/// in the same way.
/// </summary>
internal static class TokenizerBenchmark
{
    private const int DocumentLength = 16 * 1024;

    public static int Run(string[] args)
    {
        string? write = null;
        var paths = new List<string>();
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i] == "--write" && i + 1 < args.Length) write = args[++i];
            else paths.Add(args[i]);
        }
        if (paths.Count == 0) throw new ArgumentException("usage: qwenserve-bench tokenizer DIRECTORY [--write DIR] [TEXT-FILE ...]");
        var directory = paths[0];

        var watch = Stopwatch.StartNew();
        var tokenizer = Tokenizer.Load(directory);
        var cold = watch.Elapsed.TotalMilliseconds;
        watch.Restart();
        tokenizer.Encode("first text");
        Print($"load {cold:F0} ms (first in the process, compilation included), first encode {watch.Elapsed.TotalMilliseconds:F1} ms");

        var texts = paths.Count > 1
            ? paths.Skip(1).Select(path => (Path.GetFileName(path), File.ReadAllText(path))).ToList()
            : [.. TokenizerTexts.All()];
        if (write is not null)
        {
            Directory.CreateDirectory(write);
            foreach (var (name, text) in texts) File.WriteAllText(Path.Combine(write, name + ".txt"), text);
        }

        // All code paths compiled and optimised before anything is timed.
        for (var until = Stopwatch.StartNew(); until.ElapsedMilliseconds < 1500;)
            foreach (var (_, text) in texts) tokenizer.Encode(text.AsSpan(0, Math.Min(text.Length, 200_000)), new System.Buffers.ArrayBufferWriter<int>(1 << 18));

        Print($"{"text",-12} {"MB",6} {"tokens",9} {"fresh MB/s",11} {"warm MB/s",10} {"warm Mtok/s",12} {"bytes allocated",16}");
        foreach (var (name, text) in texts)
        {
            var documents = Cut(text);
            var bytes = Encoding.UTF8.GetByteCount(text);
            var output = new System.Buffers.ArrayBufferWriter<int>(text.Length + 16);
            var unseen = Tokenizer.Load(directory);
            var fresh = Time(unseen, documents, output);
            var warm = double.MaxValue;
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            for (var round = 0; round < 5; round++) warm = Math.Min(warm, Time(unseen, documents, output));
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            Print($"{name,-12} {bytes / 1e6,6:F2} {output.WrittenCount,9} {bytes / fresh / 1e6,11:F1} {bytes / warm / 1e6,10:F1} {output.WrittenCount / warm / 1e6,12:F1} {allocated / 5,16}");
        }
        return 0;
    }

    private static double Time(Tokenizer tokenizer, List<string> documents, System.Buffers.ArrayBufferWriter<int> output)
    {
        output.ResetWrittenCount();
        var start = Stopwatch.GetTimestamp();
        foreach (var document in documents) tokenizer.Encode(document, output);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static List<string> Cut(string text)
    {
        var documents = new List<string>();
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = Math.Min(start + DocumentLength, text.Length);
            if (end < text.Length && char.IsLowSurrogate(text[end])) end++;
            documents.Add(text[start..end]);
        }
        return documents;
    }

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
