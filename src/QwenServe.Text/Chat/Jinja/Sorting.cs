namespace QwenServe.Text.Chat.Jinja;

/// <summary>Python's sorted: stable, by &lt; of the keys, the order of equals kept when reversed.</summary>
internal static class Sorting
{
    public static T[] Sort<T>(Rendering rendering, T[] items, Func<T, object?> key, bool reverse)
    {
        var keyed = new (object? Key, T Item)[items.Length];
        for (int i = 0; i < items.Length; i++)
            keyed[i] = (key(items[i]), items[i]);
        if (reverse)
            Array.Reverse(keyed);
        MergeSort(rendering, keyed, new (object?, T)[items.Length], 0, items.Length);
        if (reverse)
            Array.Reverse(keyed);
        return [.. keyed.Select(k => k.Item)];
    }

    private static void MergeSort<T>(Rendering rendering, (object? Key, T Item)[] items, (object? Key, T Item)[] spare, int from, int to)
    {
        if (to - from < 2)
            return;
        int middle = (from + to) / 2;
        MergeSort(rendering, items, spare, from, middle);
        MergeSort(rendering, items, spare, middle, to);
        Array.Copy(items, from, spare, from, to - from);
        int left = from, right = middle;
        for (int i = from; i < to; i++)
        {
            rendering.Charge();
            bool takeRight = left >= middle || (right < to && Operators.Less(rendering, spare[right].Key, spare[left].Key));
            items[i] = takeRight ? spare[right++] : spare[left++];
        }
    }
}
