package tokens

// samples are texts of the kinds that people send, written for these tests.
var samples = map[string]string{
	"English": `The committee met on Tuesday to discuss the new water treatment plant, which had been delayed twice because the supplier could not deliver its pumps. Nobody was surprised. "We expected this," said the chairwoman, "but we didn't expect it to cost another year." Three members asked whether the contract allowed for penalties; the lawyer explained that it did, provided the town had given notice within thirty days. It had not. After a long argument about who should have written the letter, they agreed to hire an outside consultant, to publish the schedule every month, and to meet again before the end of October.

My grandmother kept bees behind the old railway station. Every spring she would paint the hives in colours that, she claimed, the bees could recognise: yellow, blue, a chalky white. I never believed her until I read, decades later, that bees do see those colours well. She sold the honey in jars without labels, because everybody in the village knew whose honey it was.`,

	"chat": `Hey, did you get home ok? The trains were a mess when I left lol
Yeah finally!! Took me two hours, I ended up walking from Central. My feet are killing me
Oh nooo. You should've called, I'd have picked you up. Wasn't doing anything anyway, just watching that baking show
Haha the one with the guy who drops everything? I can't believe he's still in it
He made the final!! Also, don't forget, Sam's birthday is on Saturday. We said we'd bring the cake, remember?
I totally forgot. Chocolate or lemon? I think he's allergic to nuts, isn't he?
Lemon. And yes, no nuts, his sister told me last year. I'll buy the candles if you do the cake, deal?`,

	"German": `Die Gemeindeverwaltung hat gestern beschlossen, die alte Brücke über den Mühlbach nicht abzureißen, sondern zu sanieren. Ursprünglich war ein Neubau geplant gewesen, der aber wegen der gestiegenen Materialkosten fast doppelt so teuer geworden wäre. Während der Bauarbeiten, die voraussichtlich im Frühjahr beginnen, müssen Autofahrer eine Umleitung von etwa sechs Kilometern in Kauf nehmen. Für Fußgänger und Radfahrer soll ein vorläufiger Übergang errichtet werden. Die Bürgermeisterin zeigte sich zufrieden: „Wir erhalten ein Stück Geschichte und sparen dabei auch noch Geld.“`,

	"French": `Le musée rouvrira ses portes au printemps prochain après trois années de travaux. Les visiteurs découvriront une nouvelle salle consacrée à la photographie, ainsi qu'un jardin intérieur où l'on pourra prendre un café. « Nous voulions que les habitants du quartier se sentent chez eux », explique la directrice, qui a obtenu que l'entrée soit gratuite le premier dimanche du mois. Les architectes ont conservé l'escalier d'origine, mais ils ont remplacé les fenêtres, trop abîmées. Quelques œuvres prêtées à l'étranger ne reviendront qu'à l'été.`,

	"Spanish": `Cuando llegamos al pueblo ya era de noche y no quedaba ningún restaurante abierto. Un señor que paseaba a su perro nos dijo que su hermana alquilaba habitaciones y que, si no nos importaba esperar un poco, podía prepararnos una tortilla. Cenamos en la cocina, escuchando historias sobre la mina, que cerró hace treinta años, y sobre los jóvenes que se marcharon a la ciudad. A la mañana siguiente descubrimos que desde la ventana se veía todo el valle, y decidimos quedarnos dos días más.`,

	"Russian": `Вчера вечером мы наконец закончили ремонт на кухне. Работы заняли почти два месяца, потому что трубы оказались старыми, и их пришлось полностью заменить. Соседи снизу несколько раз жаловались на шум, но потом сами попросили телефон мастера. Теперь у нас новая плита, большой стол и окно, которое можно открыть одной рукой. Осталось только выбрать занавески: жена хочет зелёные, а мне больше нравятся белые.`,

	"Chinese": `昨天下午，我们在图书馆门口等了半个小时，才发现它星期一不开门。小李说附近有一家新开的咖啡店，于是我们决定去那里写作业。店里人不多，音乐也很轻，老板还送了我们一盘自己做的饼干。写完作业以后，我们讨论了下个月的旅行计划：有人想去海边，有人想去爬山。最后大家同意先去海边住两天，然后坐火车去山里。`,

	"Japanese": `先週の日曜日、友だちと一緒に新しくできた水族館へ行きました。朝早く出発したのに、入り口にはもう長い列ができていました。一番人気があったのはクラゲの展示で、暗い部屋の中でゆっくり光りながら泳ぐ様子がとてもきれいでした。お昼はレストランでカレーを食べて、そのあとイルカのショーを見ました。帰りの電車では、みんな疲れて眠ってしまいました。`,

	"Korean": `지난주 토요일에 우리 가족은 할머니 댁에 다녀왔습니다. 할머니께서는 마당에서 직접 키운 채소로 점심을 준비해 주셨고, 우리는 식사를 마친 뒤에 강가를 따라 천천히 걸었습니다. 동생은 돌을 주워서 물수제비를 뜨다가 신발을 다 적셨습니다. 저녁에는 옛날 사진을 함께 보면서 아버지가 어렸을 때의 이야기를 들었습니다.`,

	"Arabic": `وصلنا إلى المدينة القديمة في الصباح الباكر، وكانت الشوارع هادئة والمتاجر ما زالت مغلقة. جلسنا في مقهى صغير قرب السوق وشربنا الشاي بالنعناع، ثم بدأنا نسأل عن الطريق إلى المتحف. أخبرنا صاحب المقهى أن المتحف مغلق يوم الثلاثاء، ونصحنا بزيارة الحدائق التي تقع خلف السور.`,

	"Hindi": `कल शाम को हम लोग बाज़ार गए थे क्योंकि मेरी बहन को नई किताबें खरीदनी थीं। रास्ते में बारिश शुरू हो गई और हमें एक छोटी सी दुकान में रुकना पड़ा। दुकानदार ने हमें चाय पिलाई और बताया कि उसकी दुकान चालीस साल पुरानी है। बारिश रुकने के बाद हमने किताबें खरीदीं और पैदल घर लौट आए।`,

	"Markdown": "# Installing the agent\n\nThe agent runs on Linux and macOS. **Windows is not supported yet**; see [issue 218](https://example.com/issues/218).\n\n## Requirements\n\n- Go 1.26 or later\n- 200 MB of free disk space\n- An API key (`AGENT_KEY`)\n\n## Steps\n\n1. Download the latest release.\n2. Unpack it into `/opt/agent`.\n3. Start it:\n\n```sh\nexport AGENT_KEY=ak_0123456789abcdef\n/opt/agent/bin/agent --config /etc/agent.yaml --log-level=debug\n```\n\n| Option | Default | Meaning |\n|--------|---------|---------|\n| `--config` | none | path of the settings |\n| `--log-level` | `info` | one of `debug`, `info`, `warn` |\n\n> Note: the agent never sends file contents, only their hashes.\n",

	"JSON": `{
  "id": "ord_7f3a91c2",
  "created_at": "2026-03-14T09:26:53Z",
  "customer": {"name": "Ada Example", "email": "ada@example.com", "loyalty_points": 1250, "newsletter": false},
  "items": [
    {"sku": "BK-00412", "title": "Keeping Bees", "quantity": 1, "unit_price": 24.9},
    {"sku": "JR-10077", "title": "Glass jar, 500 ml", "quantity": 12, "unit_price": 1.35},
    {"sku": "LB-00003", "title": "Label set", "quantity": 2, "unit_price": 3.0}
  ],
  "shipping": {"method": "standard", "address": {"street": "12 Station Road", "city": "Millbrook", "postal_code": "90210", "country": "US"}, "tracking_number": null},
  "totals": {"net": 47.1, "tax": 8.95, "gross": 56.05, "currency": "USD"},
  "tags": ["gift", "repeat-customer"]
}`,

	"Python": `import csv
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Account:
    owner: str
    balance: float = 0.0
    history: list[tuple[str, float]] = field(default_factory=list)

    def deposit(self, amount: float, note: str = "") -> None:
        if amount <= 0:
            raise ValueError(f"amount must be positive, got {amount!r}")
        self.balance += amount
        self.history.append((note or "deposit", amount))


def load_accounts(path: str) -> dict[str, Account]:
    """Read accounts from a CSV file with the columns owner, amount and note."""
    accounts: dict[str, Account] = {}
    totals = defaultdict(int)
    with open(path, newline="", encoding="utf-8") as fh:
        for row_number, row in enumerate(csv.DictReader(fh), start=2):
            try:
                amount = float(row["amount"])
            except (KeyError, ValueError) as exc:
                raise SystemExit(f"{path}:{row_number}: {exc}") from exc
            accounts.setdefault(row["owner"], Account(row["owner"])).deposit(amount, row.get("note", ""))
            totals[row["owner"]] += 1
    return accounts
`,

	"SQL": `SELECT c.id, c.name, COUNT(o.id) AS order_count, COALESCE(SUM(o.total_cents), 0) / 100.0 AS revenue
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.id AND o.status <> 'cancelled' AND o.created_at >= DATE '2026-01-01'
WHERE c.country IN ('DE', 'AT', 'CH') AND (c.deleted_at IS NULL OR c.deleted_at > NOW())
GROUP BY c.id, c.name
HAVING COUNT(o.id) > 3
ORDER BY revenue DESC, c.name ASC
LIMIT 50;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_customer_created ON orders (customer_id, created_at DESC) WHERE status <> 'cancelled';
`,

	"HTML": `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Opening hours</title>
  <link rel="stylesheet" href="/assets/main.css">
</head>
<body class="page page--hours">
  <header><nav><a href="/">Home</a> <a href="/contact" class="active">Contact</a></nav></header>
  <main>
    <h1>Opening hours</h1>
    <table>
      <tr><th>Monday</th><td>closed</td></tr>
      <tr><th>Tuesday to Friday</th><td>9:00&ndash;18:00</td></tr>
      <tr><th>Saturday</th><td>10:00&ndash;14:00</td></tr>
    </table>
    <p>Call us at <a href="tel:+15550100">555-0100</a> &amp; ask for <em>Robin</em>.</p>
  </main>
</body>
</html>
`,

	"log": `2026-03-14T09:26:53.589Z INFO  request finished id=01jp8x3q method=POST path=/ai/chat/completions status=200 duration_ms=1834 tokens=512
2026-03-14T09:26:54.012Z WARN  slow upstream id=01jp8x3r provider=openai model=gpt-4o-mini ttft_ms=4210 attempt=2
2026-03-14T09:26:54.977Z ERROR request failed id=01jp8x3s method=POST path=/ai/embeddings status=502 error="connection reset by peer" remote=10.0.3.17:48122
2026-03-14T09:26:55.103Z INFO  breaker opened target=bedrock/eu-central-1 failures=23 window=30s
2026-03-14T09:26:59.640Z DEBUG cache miss key=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
`,

	"CSV": `date,station,temperature,humidity,pressure
2026-02-01,Alpha,-3.42,81,1013.25
2026-02-01,Bravo,0.07,77,1011.90
2026-02-02,Alpha,-5.18,84,1009.33
2026-02-02,Bravo,-1.66,79,1008.71
2026-02-03,Alpha,-2.05,88,1002.48
2026-02-03,Bravo,1.94,90,1001.02
2026-02-04,Alpha,4.31,93,998.67
2026-02-04,Bravo,5.50,91,997.15
`,

	"emoji": `Launch day!!! 🚀🚀🔥 Thank you all so much ❤️ Couldn't have done it without the team 👩‍💻👨‍💻🙏 Party at 6 🎉🍕🥳 Don't be late 😂😉 and bring sunscreen 🌞🕶️ it's gonna be hot ☀️☀️ ✅ cake ✅ drinks ❌ speeches 🇩🇪🇫🇷🇯🇵`,
}
