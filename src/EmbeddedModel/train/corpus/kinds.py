"""Kinds of parameter: how one is named and described, how its values look, and how people say them in a request.

The same kinds serve the tools and the extraction skill, so that a name, a date or an amount is met in many surroundings.
"""

from random import Random

from . import words as w


class Kind:
    """A semantic kind. `make` draws (what the user writes, the JSON value); `phrases` put it in a clause, `{v}` being the words."""

    __slots__ = ("key", "names", "type", "descriptions", "make", "phrases", "free", "weight")

    def __init__(self, key, names, type_, descriptions, make, phrases, free=False, weight=1):
        self.key, self.names, self.type, self.make, self.free, self.weight = key, names.split(), type_, make, free, weight
        self.descriptions, self.phrases = descriptions.split("|"), phrases.split("|")


def same(f):
    def make(r: Random):
        v = f(r)
        return v, v
    return make


def integer(low, high):
    def make(r: Random):
        v = r.randint(low, high)
        return str(v), v
    return make


NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def count(low, high):
    def make(r: Random):
        v = r.randint(low, high) if r.random() < .6 else r.randint(low, min(high, 12))
        return (NUMBER_WORDS[v] if v <= 12 and r.random() < .12 else str(v)), v
    return make


def amount(r: Random):
    x = r.random()
    v = r.randint(1, 99) if x < .25 else r.randint(100, 9999) if x < .6 else r.randint(1, 90) * 10 if x < .75 else round(r.uniform(1, 900), 2 if r.random() < .7 else 1)
    if isinstance(v, float) and v == int(v):
        v = int(v)
    return str(v), v


def decimal(low, high, places=1):
    def make(r: Random):
        v = round(r.uniform(low, high), places) if r.random() < .6 else r.randint(int(low), int(high))
        if isinstance(v, float) and v == int(v):
            v = int(v)
        return str(v), v
    return make


def pick(items):
    items = items if isinstance(items, list) else items.split()

    def make(r: Random):
        v = r.choice(items)
        return v, v
    return make


def open_pick(items, form=str.lower):
    """One of the items, or any word in its place: what it is must then be read from where it stands."""
    items = items if isinstance(items, list) else items.split()

    def make(r: Random):
        v = r.choice(items) if r.random() < .55 else form(w.word(r) if r.random() < .75 else w.pseudo(r))
        return v, v
    return make


def trade(r: Random):
    """A profession; of two words now and then."""
    v = open_pick(w.JOB)(r)[0]
    if r.random() < .2:
        v = r.choice((w.word(r), w.spaced(w.noun(r)).split(" ")[0])) + " " + v.split(" ")[-1]
    return v, v


def listed(f, low=2, high=4):
    """An array, said as 'a, b and c'."""
    def make(r: Random):
        vs = [f(r) for _ in range(r.randint(low, high))]
        vs = list(dict.fromkeys(vs))
        ss = [str(v) for v in vs]
        if len(ss) == 1:
            return ss[0], vs
        x = r.random()
        return (", ".join(ss[:-1]) + (" and " if x < .6 else ", and " if x < .75 else ", ") + ss[-1]), vs
    return make


KINDS = {k.key: k for k in [
    Kind("city", "city location town place destination city_name station harbour airport district port resort venue branch near base destination_city area region venue_city target_city", "string",
         "Name of the city|The city|City to use|Where, as a city name|Location, e.g. a city|The place", same(w.city),
         "in {v}|for {v}|in {v}|at {v}|in the city of {v}|near {v}|around {v}|located in {v}", weight=3),
    Kind("country", "country country_name nation market destination_country", "string", "Name of the country|The country|Country to use",
         same(w.country), "in {v}|for {v}|in {v}|across {v}|within {v}"),
    Kind("address", "address street_address delivery_address pickup_address location shipping_address", "string", "Street address|The address|Full postal address",
         same(w.address), "at {v}|to {v}|for {v}|from {v}|at {v}"),
    Kind("person", "name person customer guest contact employee patient student client member owner assignee author user participant customer_name full_name contact_name", "string",
         "Name of the person|Full name|Who it is for|The person's name|Name", same(w.person),
         "for {v}|for {v}|to {v}|with {v}|on behalf of {v}|under the name {v}|of {v}|by {v}|under {v}|in the name of {v}", weight=3),
    Kind("recipient", "recipient to receiver send_to addressee recipient_name", "string", "Who receives it|Recipient|Name of the recipient", same(w.person),
         "to {v}|to {v}|to {v}|addressed to {v}|for {v}"),
    Kind("email", "email email_address to recipient address contact_email to_address", "string", "Email address|The e-mail of the recipient|Address to write to", same(w.email),
         "to {v}|for {v}|at {v}|with the email {v}|using {v}|with email address {v}|for the user {v}", weight=2),
    Kind("phone", "phone phone_number number mobile contact_number to", "string", "Phone number|The number to use|Telephone number", same(w.phone),
         "on {v}|at {v}|to {v}|to the number {v}|with phone number {v}|using {v}"),
    Kind("date", "date day on_date due_date start_date when event_date visit_date date_of_visit scheduled_date", "string", "The date|Date, in any form|Which day|Day it happens|Date (as the user said it)", same(w.date),
         "on {v}|on {v}|for {v}|{v}|on {v}|dated {v}|for the date {v}|by {v}", weight=3),
    Kind("time", "time at start_time hour pickup_time time_of_day departure_time alarm_time", "string", "The time|Time of day|At what time|Start time", same(w.time),
         "at {v}|at {v}|for {v}|at {v} sharp|at around {v}|starting at {v}", weight=2),
    Kind("minutes", "duration minutes duration_minutes length_minutes timeout", "integer", "Duration in minutes|How many minutes|Length in minutes", count(1, 240),
         "for {v} minutes|lasting {v} minutes|of {v} minutes|that takes {v} minutes|for {v} min", weight=2),
    Kind("days", "days num_days number_of_days duration_days day_count", "integer", "Number of days|How many days|For how many days", count(2, 60),
         "for {v} days|over {v} days|for the next {v} days|lasting {v} days"),
    Kind("nights", "nights number_of_nights stay_length", "integer", "Number of nights|How many nights", count(2, 21), "for {v} nights|staying {v} nights|of {v} nights"),
    Kind("hours", "hours num_hours duration_hours", "integer", "Number of hours|Duration in hours", count(2, 48), "for {v} hours|over {v} hours|lasting {v} hours|of {v} hours"),
    Kind("decimal_hours", "hours time_spent duration hours_worked billable_hours", "number", "Hours|Hours worked|How many hours", decimal(0, 40, 2), "{v} hours|for {v} hours|of {v} hours|with {v} hours"),
    Kind("seconds", "seconds delay interval timeout_seconds", "integer", "Seconds to wait|Delay in seconds", integer(2, 900), "after {v} seconds|for {v} seconds|every {v} seconds|with a delay of {v} seconds"),
    Kind("people", "people party_size guests number_of_people passengers seats attendees num_guests persons", "integer", "Number of people|How many guests|Party size|How many people come", count(1, 40),
         "for {v} people|for {v} guests|for {v} persons|for a party of {v}|for a group of {v}|with {v} seats|for {v}", weight=2),
    Kind("quantity", "quantity count copies amount number units how_many qty", "integer", "How many|Quantity|Number of items|Number of copies", count(1, 500),
         "{v} times|with quantity {v}|with a quantity of {v}|{v} pieces|{v} units|{v} of them|in {v} copies", weight=2),
    Kind("limit", "limit max_results top_k page_size n max_items count", "integer", "How many results to return|Maximum number of results|Result limit", count(1, 100),
         "limited to {v}|showing at most {v}|up to {v} results|with at most {v} results|only the first {v}|limit {v}|and return {v} results"),
    Kind("page", "page page_number chapter level floor", "integer", "Page number|Which one, as a number|Number", integer(1, 300), "on {n} {v}|at {n} {v}|from {n} {v}|{n} {v}"),
    Kind("amount", "amount price budget total sum value cost max_price salary fee", "number", "Amount of money|The amount|Amount in the account's currency|Price", amount,
         "of {v} dollars|for {v} dollars|of {v} euros|for ${v}|of ${v}|worth {v} dollars|for {v} euros|of €{v}|for {v} pounds", weight=3),
    Kind("percent", "percent percentage rate discount_percent brightness volume level discount", "integer", "Percentage|Per cent, 0 to 100|Level from 0 to 100", integer(1, 100),
         "to {v} percent|at {v}%|of {v}%|to {v}%|by {v} percent|of {v} percent", weight=2),
    Kind("degrees", "temperature degrees target_temperature temp angle", "number", "Temperature in degrees|Degrees|Target in degrees", decimal(-20, 45),
         "to {v} degrees|at {v} degrees|of {v} degrees|to {v}°"),
    Kind("weight", "weight weight_kg kilograms mass", "number", "Weight in kilograms|Kilograms|The weight in kg", decimal(1, 150), "of {v} kg|weighing {v} kg|of {v} kilograms|with a weight of {v} kg|that weighs {v} kilos"),
    Kind("distance", "distance distance_km kilometers radius km radius_km", "number", "Distance in kilometres|Kilometres|Radius in km", decimal(1, 400), "of {v} km|within {v} km|over {v} kilometers|for {v} kilometers|in a radius of {v} km"),
    Kind("year", "year model_year since from_year fiscal_year", "integer", "The year|Year|Calendar year", integer(1900, 2035), "for {v}|in {v}|from {v}|for the year {v}|of {v}|in the year {v}"),
    Kind("age", "age age_years years", "integer", "Age in years|Years|How old", integer(1, 99), "aged {v}|who is {v} years old|age {v}|of age {v}|who is {v}"),
    Kind("rating", "rating stars score grade points", "integer", "Rating|Number of stars|Score to give", integer(1, 10), "{v} stars|with {v} stars|a rating of {v}|a score of {v}|with a rating of {v}|{v} out of 10"),
    Kind("code", "id code reference number order_id ticket_id item_id reference_number tracking_number account_number invoice_number booking_id case_id serial_number", "string",
         "Identifier|The id|Reference|Its number|Unique identifier|Code", same(w.code),
         "with id {v}|{v}|number {v}|with number {v}|with the id {v}|with reference {v}|with code {v}|no. {v}|id {v}", weight=3),
    Kind("number_id", "id number user_id room_number order_number table_number seat_number account_id", "integer", "Numeric id|The number|Number of it|Numeric identifier", integer(1, 99999),
         "number {v}|{v}|with id {v}|with number {v}|no. {v}|#{v}|id {v}", weight=2),
    Kind("title", "title name label subject headline event_name project_name playlist_name display_name", "string", "Title|The name to give it|Its title|Label|What it is called", same(w.phrase),
         "called {v}|titled {v}|named {v}|with the title {v}|with title {v}|labelled {v}|under the title {v}|with the name {v}", True, weight=3),
    Kind("text", "text message body content note description comment details reason message_text", "string", "The text|Message to send|Body of the message|What to write|Free text", same(w.sentence),
         "saying {v}|with the message {v}|that says {v}|with the text {v}|reading {v}|with text {v}|which says {v}|and write {v}|with the note {v}", True, weight=3),
    Kind("work", "title book film movie song name novel show course", "string", "Title|Name of it|Its title", same(w.name_of_work), "called {v}|titled {v}|{v}|named {v}|of {v}|for {v}", True, weight=2),
    Kind("slug", "name service repository channel project host server app key resource instance branch", "string", "Name|The name|Which one|Technical name", same(w.slug), "{v}|called {v}|named {v}|for {v}|of {v}|on {v}|in {v}|to {v}", weight=2),
    Kind("ip", "ip ip_address host address", "string", "IP address|The address", same(w.ip), "{v}|at {v}|for {v}|from {v}|of {v}|with IP {v}|with the address {v}"),
    Kind("nationality", "nationality citizenship origin cuisine", "string", "Nationality|Nationality of the person", same(w.nationality), "with {v} nationality|as a {v} citizen|for a {v} visitor|{v}"),
    Kind("files", "files documents images attachments paths", "array", "Files|List of files|The files to use", listed(lambda r: w.path(r) if r.random() < .3 else w.slug(r) + "." + r.choice(w.EXT)), "these: {v}|these {n}: {v}|the following {n}: {v}|: {v}|the {n} {v}|{v}|with {v}|from {v}|of {v}|with the files {v}"),
    Kind("task", "task todo item activity reminder reminder_text action", "string", "What to do|The task|The thing to be reminded of",
         same(lambda r: f"{w.spaced(r.choice(w.VERBS)[0])} the {w.spaced(w.noun(r))}"), "to {v}|to {v}|that I have to {v}|about having to {v}|saying {v}", True),
    Kind("query", "query search_term keyword q keywords search_query term text", "string", "What to search for|Search words|Keywords|The search query", same(w.phrase),
         "for {v}|for {v}|matching {v}|about {v}|containing {v}|with the words {v}|with the query {v}", True, weight=2),
    Kind("topic", "topic subject theme category field about", "string", "The topic|Subject|What it is about", same(lambda r: r.choice(w.TOPICS) if r.random() < .6 else w.spaced(w.noun(r))),
         "about {v}|on {v}|on the topic of {v}|regarding {v}|concerning {v}|related to {v}", weight=2),
    Kind("url", "url link website address page_url source_url", "string", "Web address|URL|Link to the page", same(w.url), "at {v}|from {v}|for {v}|{v}|of {v}|located at {v}"),
    Kind("path", "path file filename file_path file_name document source_file video image audio photo picture recording attachment script", "string", "Path of the file|File name|The file", same(w.path), "{v}|from {v}|at {v}|in {v}|of {v}|stored in {v}", weight=2),
    Kind("folder", "folder directory destination_folder target target_folder album playlist", "string", "Folder|Where to put it|Target folder", same(lambda r: r.choice((w.noun(r), w.pseudo(r), w.noun(r).capitalize()))),
         "in the folder {v}|into {v}|to the folder {v}|to {v}|in {v}|under {v}"),
    Kind("company", "company company_name vendor supplier organization employer airline brand store", "string", "Name of the company|The company|Company", same(w.company),
         "from {v}|for {v}|with {v}|at {v}|of {v}|by {v}", weight=2),
    Kind("product", "product item product_name article item_name model sku_name", "string", "The product|Name of the item|What to use", same(lambda r: f"{w.adjective(r)} {w.spaced(w.noun(r))}" if r.random() < .6 else w.pseudo(r).capitalize() + " " + w.digits(r, 1, 3) if r.random() < .4 else w.spaced(w.noun(r))),
         "for the {v}|of the {v}|with the {v}|for {v}|of {v}", weight=2),
    Kind("food", "dish food item meal ingredient order_item", "string", "The dish|Food|What to eat", open_pick(w.FOOD), "with {v}|of {v}|for {v}|using {v}"),
    Kind("language", "language target_language lang to_language output_language", "string", "Language|Target language|Language to use", open_pick(w.LANGUAGE, str.capitalize), "in {v}|into {v}|to {v}"),
    Kind("currency", "currency currency_code", "string", "Currency code|ISO currency|Currency", pick(w.CURRENCY), "in {v}|using {v}|in currency {v}"),
    Kind("colour", "color colour paint_color background_color", "string", "Colour|The color|Color name", open_pick(w.COLOUR), "in {v}|{v}|in the color {v}|coloured {v}|to {v}"),
    Kind("genre", "genre style category music_genre", "string", "Genre|Style|Kind", open_pick(w.GENRE), "of the genre {v}|in the genre {v}|in {v} style|in the style of {v}"),
    Kind("room", "room location room_name zone", "string", "Which room|Room|The room",
         open_pick(["kitchen", "bedroom", "living room", "bathroom", "garage", "hallway", "office", "basement", "attic", "nursery", "dining room", "guest room", "porch", "study", "laundry room", "cellar"]),
         "in the {v}|for the {v}|of the {v}|in the {v}", weight=2),
    Kind("animal", "animal pet pet_type species", "string", "Kind of animal|The pet|Species", open_pick(w.ANIMAL), "for my {v}|for the {v}|for a {v}"),
    Kind("job", "job position role job_title profession", "string", "Job title|Profession|The role", trade, "as a {v}|as {v}|for the job of {v}|for the position of {v}"),
    Kind("weekday", "weekday day day_of_week", "string", "Day of the week|Weekday", pick(w.WEEKDAY), "on {v}|on {v}|for {v}|every {v}"),
    Kind("month", "month billing_month", "string", "Month|Name of the month", pick(w.MONTH), "for {v}|in {v}|of {v}|for the month of {v}"),
    Kind("version", "version release tag build", "string", "Version|Version number|Release", same(lambda r: ("v" if r.random() < .3 else "") + f"{r.randint(0, 12)}.{r.randint(0, 30)}" + (f".{r.randint(0, 30)}" if r.random() < .5 else "")),
         "version {v}|with version {v}|at version {v}|to version {v}|to {v}"),
    Kind("username", "username user account login handle owner", "string", "User name|The account|Login name", same(lambda r: w.pseudo(r) + r.choice(("", "_", ".", "")) + r.choice(("", w.digits(r, 1, 4), w.pseudo(r)))),
         "for user {v}|for the account {v}|for {v}|of the user {v}|with username {v}|as {v}"),
    Kind("tags", "tags labels keywords categories topics", "array", "Tags|List of labels|Labels to attach", listed(lambda r: r.choice((w.noun(r), w.adjective(r), w.pseudo(r))).replace("_", "")),
         "tagged {v}|with the tags {v}|with tags {v}|labelled {v}|under {v}"),
    Kind("people_list", "attendees participants guests recipients members invitees names players", "array", "Names of the people|List of names|Who takes part", listed(w.first),
         "these {n}: {v}|namely {v}|: {v}|with {v}|for {v}|with {v}|including {v}|together with {v}"),
    Kind("items", "items products ingredients articles things groceries", "array", "Items|List of items|What to include", listed(lambda r: r.choice(w.FOOD) if r.random() < .5 else w.spaced(w.noun(r))),
         "with {v}|containing {v}|for {v}|of {v}|consisting of {v}|: {v}|these {n}: {v}|the following: {v}"),
    Kind("cities", "cities stops locations destinations waypoints places", "array", "List of cities|Stops|Places to visit", listed(w.city), "through {v}|for {v}|with stops in {v}|via {v}|covering {v}"),
    Kind("numbers", "numbers values scores data measurements prices", "array", "List of numbers|The values|Numbers", listed(lambda r: r.randint(0, 999), 2, 6), "of {v}|for {v}|for the values {v}|with the values {v}|of the numbers {v}"),
    Kind("ids", "ids order_ids ticket_ids item_ids", "array", "List of ids|Ids", listed(lambda r: r.randint(10, 9999), 2, 4), "with ids {v}|{v}|with the ids {v}|numbers {v}"),
]}

WEIGHTED = [k for k in KINDS.values() for _ in range(k.weight)]

ENUMS = [  # (names, values, phrases)
    ("priority urgency importance severity", "low medium high", "with {v} priority|with {n} {v}|at {v} {n}|as {v} priority|with {v} {n}"),
    ("priority", "low normal high urgent", "with {v} priority|with priority {v}|marked {v}"),
    ("size", "small medium large", "in size {v}|in {v}|with size {v}|in {v} size"),
    ("size", "S M L XL", "in size {v}|size {v}"),
    ("unit units", "celsius fahrenheit", "in {v}|in degrees {v}|using {v}"),
    ("unit units system", "metric imperial", "in {v} units|using {v} units|with {v} units"),
    ("unit", "km miles", "in {v}"),
    ("format output_format type", "pdf csv json xml", "as {v}|in {v} format|as a {v}|in {v}"),
    ("format image_format", "png jpeg webp", "as {v}|in {v} format"),
    ("status state", "open closed pending", "with status {v}|to {v}|as {v}|that is {v}"),
    ("status", "todo doing done", "to {v}|as {v}|with status {v}"),
    ("travel_class cabin seat_class", "economy business first", "in {v} class|in {v}|with {v} class"),
    ("mode transport travel_mode", "driving walking cycling transit", "by {v}|via {v}|in {v} mode|for {v}"),
    ("sort sort_by order_by", "price rating distance", "sorted by {v}|ordered by {v}|by {v}"),
    ("order direction sort_order", "ascending descending", "in {v} order|{v}"),
    ("frequency interval repeat recurrence", "daily weekly monthly yearly", "{v}|repeating {v}|on a {v} basis|with {v} repetition"),
    ("mode", "cool heat auto fan", "in {v} mode|with mode {v}|on {v}"),
    ("speed", "slow normal fast", "at {v} speed|with {v} speed"),
    ("tone style voice", "formal friendly funny", "in a {v} tone|with a {v} tone|in {v} style"),
    ("category type kind", "food travel office other", "under {v}|in the category {v}|as {v}|with category {v}"),
    ("level difficulty skill_level", "beginner intermediate advanced", "at {v} level|for {v}|with {v} difficulty"),
    ("gender", "male female other", "for {n} {v}"),
    ("role access permission", "admin editor viewer", "as {v}|with the role {v}|with {v} rights|with {v} access"),
    ("environment env stage", "dev staging production", "to {v}|in {v}|on {v}"),
    ("payment_method payment method", "cash card transfer", "by {v}|with {v}|paying by {v}"),
    ("shipping delivery shipping_method", "standard express overnight", "with {v} shipping|by {v} delivery|using {v} shipping"),
    ("meal meal_type", "breakfast lunch dinner", "for {v}|at {v}"),
    ("position side align", "left center right", "on the {v}|to the {v}"),
    ("quality resolution", "720p 1080p 4k", "in {v}|at {v}"),
    ("channel via", "email sms push", "by {v}|via {v}|through {v}"),
]

BOOLS = [  # (names, description, said when true, said when false)
    ("notify send_notification notify_owner", "Whether to notify people", "and notify everyone|with a notification|and send a notification", "without a notification|without notifying anyone|and don't notify anyone"),
    ("gift_wrap gift is_gift", "Wrap it as a gift", "gift wrapped|as a gift|with gift wrapping", "not as a gift|without gift wrapping"),
    ("urgent is_urgent", "True if it is urgent", "urgently|and it is urgent|marked urgent", "not urgent|and it is not urgent"),
    ("include_tax tax_included", "Whether tax is included", "including tax|with tax included|with tax", "excluding tax|without tax"),
    ("recursive include_subfolders", "Go into subfolders", "recursively|including subfolders", "not recursively|without subfolders"),
    ("breakfast breakfast_included include_breakfast", "With breakfast", "with breakfast|including breakfast", "without breakfast|and no breakfast"),
    ("private is_private", "Keep it private", "and keep it private|as private", "as public|and not private"),
    ("round_trip return_trip", "Return trip or not", "round trip|and back", "one way"),
    ("overwrite force", "Overwrite what exists", "overwriting the existing one|and overwrite it", "without overwriting|and do not overwrite it"),
    ("remember save_card keep", "Keep it for later", "and remember it|and keep it for later", "and don't remember it|without keeping it"),
    ("loop repeat", "Repeat for ever", "on repeat|in a loop|on loop", "without repeating|only once"),
    ("shuffle random_order", "In random order", "shuffled|in random order|on shuffle", "not shuffled|without shuffle"),
    ("insurance insured with_insurance", "Add insurance", "with insurance|insured", "without insurance|uninsured"),
    ("dry_run preview test_only", "Only simulate", "as a dry run|in preview only", "for real|not as a dry run"),
    ("compressed compress", "Compress the result", "compressed|with compression", "uncompressed|without compression"),
    ("pets pet_friendly pets_allowed", "Pets come along", "with pets|pet friendly", "without pets|no pets"),
    ("window_seat window", "A seat at the window", "with a window seat|at the window", "no window seat|not at the window"),
    ("vegetarian is_vegetarian", "Vegetarian only", "vegetarian|vegetarian only", "not vegetarian"),
]

PAIRS = [  # two parameters of one kind and the words that tell them apart
    ("city", "origin destination", "from_city to_city", "departure_city arrival_city", "from {a} to {b}"),
    ("city", "from to", "start end", "source destination", "from {a} to {b}|to {b} from {a}"),
    ("date", "start_date end_date", "check_in check_out", "from_date to_date", "from {a} to {b}|between {a} and {b}|from {a} until {b}"),
    ("time", "start_time end_time", "start end", "from_time to_time", "from {a} to {b}|between {a} and {b}|from {a} until {b}"),
    ("currency", "from_currency to_currency", "source_currency target_currency", "from to", "from {a} to {b}"),
    ("language", "source_language target_language", "from_language to_language", "from to", "from {a} to {b}|from {a} into {b}"),
    ("path", "source destination", "old_path new_path", "from to", "from {a} to {b}|{a} to {b}"),
    ("title", "old_name new_name", "old_title new_title", "current_name new_name", "from {a} to {b}"),
    ("number_id", "from_account to_account", "source_id target_id", "first_id second_id", "from {a} to {b}"),
    ("amount", "min_price max_price", "minimum maximum", "low high", "between {a} and {b}|from {a} to {b}"),
    ("person", "sender recipient", "sender_name recipient_name", "from to", "from {a} to {b}"),
    ("address", "pickup dropoff", "pickup_address destination", "from_address to_address", "from {a} to {b}"),
]

GENERIC = ("with the {v} {n}|in the {v} {n}|on the {v} {n}|of the {v} {n}|at the {v} {n}|the {n} is {v}|, the {n} is {v}|, its {n} is {v}|for the {v} {n}|the {n} being {v}|with {n} {v}|with a {n} of {v}|{n} {v}|{n}: {v}|with {v} as the {n}|using {v} as the {n}|with {v} as {n}|with the {n} {v}|with the {n} set to {v}|where the {n} is {v}|(the {n} is {v})"
           "|with {n} = {v}|and {n} {v}|having {n} {v}|for {n} {v}").split("|")
AFTER = ("The {n} are {v}.|Its {n} are {v}.|This is the {n}: {v}.|{v}, that is the {n}.|It has {n} {v}.|The right {n} is {v}.|The {n} is {v}.|The {n} should be {v}.|{N}: {v}.|Use {v} as the {n}.|Use {v} for the {n}.|Set the {n} to {v}.|Make the {n} {v}.|{N} is {v}.|As {n} take {v}.|{v} is the {n}.|For the {n}, {v}.|{N} = {v}"
         "|I want the {n} to be {v}.|My {n} is {v}.|The {n} must be {v}.|Its {n} is {v}.|{N} {v}.").split("|")
