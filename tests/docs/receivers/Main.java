import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.Scanner;

final class Main {
    public static void main(String[] arguments) {
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            String[] fields = lines.nextLine().split("\t");
            Instant now = Instant.ofEpochSecond(Long.parseLong(text(fields[5])));
            boolean genuine = Webhooks.isGenuine(
                    raw(fields[0]), text(fields[1]), text(fields[2]), text(fields[3]), text(fields[4]), now);
            System.out.println(genuine ? "genuine" : "refused");
        }
    }

    private static byte[] raw(String field) {
        return Base64.getDecoder().decode(field);
    }

    private static String text(String field) {
        return new String(raw(field), StandardCharsets.UTF_8);
    }
}
