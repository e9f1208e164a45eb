using System.Numerics;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>value[start:stop:step] of strings, lists, tuples and ranges.</summary>
internal static class Slicing
{
    public static object? Apply(Rendering rendering, object value, Slice slice)
    {
        long length = Operators.Length(value)!.Value;
        long step = Bound(slice.Step) ?? 1;
        if (step == 0)
            throw new JinjaException("slice step cannot be zero");
        long low = step > 0 ? 0 : -1;
        long high = step > 0 ? length : length - 1;
        long start = Clamp(Bound(slice.Start), step > 0 ? low : high);
        long stop = Clamp(Bound(slice.Stop), step > 0 ? high : low);
        var range = new PyRange(start, stop, step);
        rendering.ChargeItems(value is MarkedString ? range.Count / 64 : range.Count);
        switch (value)
        {
            case MarkedString text when step == 1:
                int from = text.Offset((int)start);
                return start >= stop ? text.Units(0, 0) : text.Units(from, text.Offset((int)stop) - from);
            case MarkedString text:
                rendering.ChargeItems(range.Count);
                var builder = new MarkedStringBuilder(rendering);
                for (long i = start; step > 0 ? i < stop : i > stop; i += step)
                    builder.Append(text.CodePoint((int)i));
                return builder.ToMarkedString().AsSafe(text.Safe);
            case PySequence list:
                var items = new List<object?>();
                for (long i = start; step > 0 ? i < stop : i > stop; i += step)
                    items.Add(list.Items[(int)i]);
                return list is PyList ? new PyList(items) { FromConversation = list.FromConversation } : new PyTuple(items);
            default:
                var source = (PyRange)value;
                return new PyRange(source.Start + (start * source.Step), source.Start + (stop * source.Step), source.Step * step);
        }

        long Clamp(long? bound, long missing)
        {
            if (bound is not { } b)
                return missing;
            if (b < 0)
                b = b < -length ? -1 - length : b;
            if (b < 0)
                b += length;
            return Math.Clamp(b, low, high);
        }
    }

    private static long? Bound(object? bound) => bound switch
    {
        null => null,
        long or bool => Operators.ToLong(bound),
        BigInteger big => big > 0 ? int.MaxValue : -int.MaxValue,
        Undefined undefined => throw undefined.Error(),
        _ => throw new ConversionException("slice indices must be integers or None or have an __index__ method"),
    };
}
